"""Rows of samples → evenly spaced columns, thinned to a width, gaps kept. Standard library only.

Everything here works on whole columns (slices, zip): a page draws some thirty of them, each up to
2 400 rows long, within its 50 ms.
"""

import math
from array import array
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

from labpanel.lib.packed import NAN, unpack, widened
from labpanel.lib.sparkline import sparkline

__all__ = ["RANGES", "Columns", "Tier", "Window", "as_json", "columns", "sparkline", "window"]

HOUR, DAY = 3600, 86_400
RANGES = {
    "1h": HOUR,
    "6h": 6 * HOUR,
    "1d": DAY,
    "1w": 7 * DAY,
    "1m": 31 * DAY,
    "1y": 365 * DAY,
}
POINTS = 600  # as many as a phone's screen has pixels across, and half a desk's
ROWS = 2400  # at most read for one subject: four for each point
# Rates cover the time since the reading before, at most three intervals (hosts/rules/rates.py).
# A round that was skipped is therefore no gap: the next row's rate holds for it too.
CARRIED = 2

Column = Sequence[float]


@dataclass(frozen=True, slots=True)
class Tier:
    """`step` and `kept` in seconds; `blocks` 1, or 3 for min, mean, max."""

    step: int
    kept: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Window:
    """What a graph shows: `count` points, `step` seconds apart, from rows of one tier.

    `start` is the first point's time; a point stands for the `step` seconds from its time on.
    """

    start: int
    step: int
    count: int
    tier: int
    factor: int

    @property
    def end(self) -> int:
        return self.start + self.step * self.count

    @property
    def times(self) -> range:
        return range(self.start, self.end, self.step)


@dataclass(frozen=True, slots=True)
class Columns:
    """One column for each value of a layout; a column of `low` or `high` is empty where no band
    was asked for, and in the finest tier."""

    mean: tuple[Column, ...]
    low: tuple[Column, ...] = ()
    high: tuple[Column, ...] = ()


def window(tiers: Sequence[Tier], start: int, end: int, now: int, points: int = POINTS) -> Window:
    """The finest tier that still holds `start` and needs no more rows than ROWS."""
    span = max(1, end - start)
    number = len(tiers) - 1
    for candidate, tier in enumerate(tiers):
        if now - tier.kept <= start and span <= tier.step * ROWS:
            number = candidate
            break
    own = tiers[number].step
    factor = max(1, math.ceil(span / own / points))
    step = own * factor
    first = start // step * step
    return Window(first, step, max(1, math.ceil((end - first) / step)), number, factor)


def columns(
    rows: Sequence[tuple[int, bytes]],
    view: Window,
    tier: Tier,
    width: int,
    bands: Container[int] = range(99),
) -> Columns:
    """`rows` are (time, packed values) in order of time; `width` is the layout's length; `bands`
    are the values whose extremes are wanted too.

    Rows may be missing, and may hold fewer values than the layout has by now.
    """
    packed = [own for _, own in rows]
    lengths = set(map(len, packed)) or {0}
    length = max(lengths) // 4
    if len(lengths) > 1:
        packed = [widened(own, length, tier.blocks) for own in packed]
    data = unpack(b"".join(packed))
    per_block = length // tier.blocks
    spread = _spreader(rows, view, tier)

    def cut(block: int, value: int, thin: Callable[[Column, int], Column]) -> Column:
        if value >= per_block:
            return [NAN] * view.count
        column = spread(data[block * per_block + value :: length])
        return thin(column, view.factor) if view.factor > 1 else column

    values = range(width)
    if tier.blocks == 1:
        return Columns(mean=tuple(cut(0, value, _means) for value in values))
    return Columns(
        low=tuple(cut(0, value, _lowest) if value in bands else () for value in values),
        mean=tuple(cut(1, value, _means) for value in values),
        high=tuple(cut(2, value, _highest) if value in bands else () for value in values),
    )


def as_json(column: Column) -> str:
    """A JSON array with null for NaN, five digits each; one format call for the whole column."""
    text = ("%.5g," * len(column)) % tuple(column)
    return f"[{text[:-1].replace('nan', 'null')}]"


def _spreader(
    rows: Sequence[tuple[int, bytes]], view: Window, tier: Tier
) -> Callable[["array[float]"], Column]:
    """How a column of rows becomes one of the window's cells, empty ones being NaN."""
    cells = view.count * view.factor
    first = view.start // tier.step
    places = [at // tier.step - first for at, _ in rows]
    if places and places[-1] - places[0] == len(places) - 1 and places[0] >= 0:
        # none is missing in between: cells before and after are all there is to add
        before, after = places[0], cells - 1 - places[-1]
        return lambda column: array("f", [NAN]) * before + column + array("f", [NAN]) * after
    numbers = [-1] * cells
    for number, place in enumerate(places):
        if 0 <= place < cells:
            numbers[place] = number
    if tier.blocks == 1:
        _carry_back(numbers)

    def by_number(column: "array[float]") -> Column:
        column.append(NAN)  # what -1 leads to
        return [*map(column.__getitem__, numbers)]

    return by_number


def _carry_back(numbers: list[int]) -> None:
    """Let a row stand for up to CARRIED empty cells between it and the row before."""
    known = None
    for place, number in enumerate(numbers):
        if number < 0:
            continue
        if known is not None and 1 < place - known <= CARRIED + 1:
            numbers[known + 1 : place] = [number] * (place - known - 1)
        known = place


def _groups(column: Column, factor: int) -> Iterable[tuple[float, ...]]:
    return zip(*[iter(column)] * factor, strict=True)


def _means(column: Column, factor: int) -> Column:
    means = [total / factor for total in map(sum, _groups(column, factor))]
    if math.isnan(sum(means)):
        for place, mean in enumerate(means):
            if math.isnan(mean):
                own = column[place * factor : (place + 1) * factor]
                known = [value for value in own if not math.isnan(value)]
                means[place] = sum(known) / len(known) if known else NAN
    return means


def _lowest(column: Column, factor: int) -> Column:
    return _extremes(column, factor, min, math.inf)


def _highest(column: Column, factor: int) -> Column:
    return _extremes(column, factor, max, -math.inf)


def _extremes(
    column: Column, factor: int, pick: Callable[[Iterable[float]], float], neutral: float
) -> Column:
    if not math.isnan(sum(column)):
        return [*map(pick, _groups(column, factor))]
    known = [neutral if math.isnan(value) else value for value in column]
    picked = map(pick, _groups(known, factor))
    return [NAN if value == neutral else value for value in picked]

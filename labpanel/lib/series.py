"""Rows of samples → evenly spaced columns, thinned to a width, gaps kept. Standard library only.

Everything here works on whole columns (slices, zip): a page draws some thirty of them, each up to
2 400 rows long, within its 50 ms.
"""

import math
from collections.abc import Callable, Iterable, Sequence
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
    """One column for each value of a layout; `low` and `high` are empty in the finest tier."""

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


def columns(rows: Sequence[tuple[int, bytes]], view: Window, tier: Tier, width: int) -> Columns:
    """`rows` are (time, packed values) in order of time; `width` is the layout's length.

    Rows may be missing, and may hold fewer values than the layout has by now.
    """
    length = max((len(packed) for _, packed in rows), default=0) // 4
    data = unpack(b"".join(widened(packed, length, tier.blocks) for _, packed in rows))
    data.extend([NAN] * length)  # what an empty cell's place, -1, leads to
    places = _places(rows, view, tier)
    per_block = length // tier.blocks

    def cut(block: int, thin: Callable[[Column, int], Column]) -> tuple[Column, ...]:
        begin = block * per_block
        found = [data[begin + value :: length] for value in range(min(per_block, width))]
        blank = thin([NAN] * len(places), view.factor)
        return (
            *(thin([*map(column.__getitem__, places)], view.factor) for column in found),
            *([blank] * (width - len(found))),
        )

    if tier.blocks == 1:
        return Columns(mean=cut(0, _means))
    return Columns(low=cut(0, _lowest), mean=cut(1, _means), high=cut(2, _highest))


def as_json(column: Column) -> str:
    """A JSON array with null for NaN, five digits each; one format call for the whole column."""
    text = ("%.5g," * len(column)) % tuple(column)
    return f"[{text[:-1].replace('nan', 'null')}]"


def _places(rows: Sequence[tuple[int, bytes]], view: Window, tier: Tier) -> list[int]:
    """For each cell of the tier's grid the number of its row, -1 for none."""
    cells = view.count * view.factor
    first = view.start // tier.step
    places = [-1] * cells
    for number, (at, _) in enumerate(rows):
        place = at // tier.step - first
        if 0 <= place < cells:
            places[place] = number
    if tier.blocks == 1:
        _carry_back(places)
    return places


def _carry_back(places: list[int]) -> None:
    """Let a row stand for up to CARRIED empty cells between it and the row before."""
    known = None
    for place, number in enumerate(places):
        if number < 0:
            continue
        if known is not None and 1 < place - known <= CARRIED + 1:
            places[known + 1 : place] = [number] * (place - known - 1)
        known = place


def _groups(column: Column, factor: int) -> Iterable[tuple[float, ...]]:
    return zip(*[iter(column)] * factor, strict=True)


def _means(column: Column, factor: int) -> Column:
    if factor == 1:
        return column
    means = [sum(group) / factor for group in _groups(column, factor)]
    for place, mean in enumerate(means):
        if math.isnan(mean):
            known = _known(column[place * factor : (place + 1) * factor])
            means[place] = sum(known) / len(known) if known else NAN
    return means


def _lowest(column: Column, factor: int) -> Column:
    return column if factor == 1 else [_picked(min, group) for group in _groups(column, factor)]


def _highest(column: Column, factor: int) -> Column:
    return column if factor == 1 else [_picked(max, group) for group in _groups(column, factor)]


def _picked(pick: Callable[[Iterable[float]], float], group: Column) -> float:
    known = _known(group)
    return pick(known) if known else NAN


def _known(group: Column) -> list[float]:
    return [value for value in group if not math.isnan(value)]

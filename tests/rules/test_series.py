"""Thinning a tier's rows to a graph's points, and the small graph beside a name."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labpanel.lib.packed import NAN, SLOTS, pack, push_recent, unpack
from labpanel.lib.series import RANGES, Columns, Tier, Window, as_json, columns, window
from labpanel.lib.sparkline import sparkline

FINE, MIDDLE = Tier(10, 172_800, 1), Tier(300, 5_184_000, 3)
TIERS = (FINE, MIDDLE, Tier(3600, 94_608_000, 3), Tier(86_400, 315_360_000, 3))
NOW = 1_800_000_000
numbers = st.floats(0, 1e6, width=32)
maybe = st.one_of(st.just(NAN), numbers)


def same(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=1e-5) or (math.isnan(left) and math.isnan(right))


@pytest.mark.parametrize(
    ("span", "tier", "step"),
    [
        ("1h", 0, 10),
        ("6h", 0, 40),
        ("1d", 1, 300),
        ("1w", 1, 1200),
        ("1m", 2, 7200),
        ("1y", 3, 86_400),
    ],
)
def test_a_range_picks_its_tier(span: str, tier: int, step: int) -> None:
    found = window(TIERS, NOW - RANGES[span], NOW, NOW)
    assert (found.tier, found.step) == (tier, step)


@given(st.integers(60, 10 * 365 * 86_400), st.integers(0, 400 * 86_400))
def test_a_window_covers_what_was_asked_in_few_points(span: int, ago: int) -> None:
    end = NOW - ago
    found = window(TIERS, end - span, end, NOW)
    assert found.start <= end - span
    assert found.end >= end
    assert found.count <= 602
    assert found.step == TIERS[found.tier].step * found.factor
    assert len(found.times) == found.count


def test_old_times_are_not_looked_for_where_they_are_pruned() -> None:
    assert window(TIERS, NOW - 5 * 86_400, NOW - 5 * 86_400 + 600, NOW).tier == 1


@given(st.lists(maybe, min_size=12, max_size=12), st.sampled_from([1, 2, 3, 4]))
def test_a_point_is_the_mean_of_what_is_known(values: list[float], factor: int) -> None:
    view = Window(0, 10 * factor, 12 // factor, 0, factor)
    rows = [(place * 10, pack([value, 7.0])) for place, value in enumerate(values)]
    found = columns(rows, view, FINE, 2).mean
    for point in range(view.count):
        known = [v for v in values[point * factor : (point + 1) * factor] if v == v]
        expected = sum(known) / len(known) if known else NAN
        assert same(found[0][point], expected)
        assert found[1][point] == 7.0


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=6, max_size=6))
def test_the_band_keeps_the_extremes(triples: list[tuple[float, float, float]]) -> None:
    rows = [(place * 300, pack(sorted(triple))) for place, triple in enumerate(triples)]
    found = columns(rows, Window(0, 900, 2, 1, 3), MIDDLE, 1)
    for point in range(2):
        own = triples[point * 3 : point * 3 + 3]
        assert found.low[0][point] == min(min(triple) for triple in own)
        assert found.high[0][point] == max(max(triple) for triple in own)
        assert found.low[0][point] <= found.mean[0][point] * 1.00001
        assert found.mean[0][point] <= found.high[0][point] * 1.00001


def at(seconds: list[int]) -> Columns:
    rows = [(second, pack([float(second)])) for second in seconds]
    return columns(rows, Window(0, 10, 10, 0, 1), FINE, 1)


def test_a_skipped_round_is_no_gap() -> None:
    assert list(at([0, 20, 50]).mean[0])[:6] == [0, 20, 20, 50, 50, 50]


def test_a_longer_silence_is_a_gap() -> None:
    values = list(at([0, 40]).mean[0])
    assert [math.isnan(value) for value in values] == [False] + [True] * 3 + [False] + [True] * 5


def test_no_rows_are_all_gap() -> None:
    found = columns([], Window(0, 600, 4, 1, 2), MIDDLE, 2)
    assert [len(column) for column in (*found.mean, *found.low, *found.high)] == [4] * 6
    assert all(math.isnan(value) for column in found.mean for value in column)


def test_rows_from_before_the_layout_grew() -> None:
    rows = [(0, pack([1, 2, 3])), (300, pack([1, 10, 2, 20, 3, 30]))]
    found = columns(rows, Window(0, 300, 2, 1, 1), MIDDLE, 2)
    assert [list(found.low[0]), list(found.mean[0]), list(found.high[0])] == [
        [1, 1],
        [2, 2],
        [3, 3],
    ]
    assert math.isnan(found.mean[1][0])
    assert found.mean[1][1] == 20


@given(st.lists(maybe))
def test_json_has_null_for_no_value(values: list[float]) -> None:
    back = json.loads(as_json(values))
    assert len(back) == len(values)
    for value, told in zip(values, back, strict=True):
        assert told is None if math.isnan(value) else math.isclose(told, value, rel_tol=1e-4)


@given(st.lists(maybe, max_size=SLOTS))
def test_a_sparkline_draws_every_stretch_within_its_frame(values: list[float]) -> None:
    path = sparkline(pack(values))
    known = [not math.isnan(value) for value in values]
    starts = sum(now and not (place and known[place - 1]) for place, now in enumerate(known))
    assert path.count("M") == starts
    assert path.count("M") + path.count("L") == sum(known)
    for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path):
        assert 0 <= float(x) <= 112
        assert 0 <= float(y) <= 28


def test_recent_holds_the_means_of_an_hour() -> None:
    recent, before = b"", 0
    for second in range(0, 7200, 10):
        now = NOW // 3600 * 3600 + second
        recent, before = push_recent(recent, before, now, float(second // 60)), now
    assert list(unpack(recent)) == [float(minute) for minute in range(60, 120)]


def test_recent_shows_a_silence() -> None:
    start = NOW // 60 * 60
    recent = push_recent(b"", 0, start, 1.0)
    recent = push_recent(recent, start, start + 180, 4.0)
    assert [math.isnan(value) for value in unpack(recent)[-4:]] == [False, True, True, False]


@given(st.lists(st.tuples(st.integers(0, 8000), maybe), max_size=30))
def test_recent_is_never_longer_than_an_hour(pushes: list[tuple[int, float]]) -> None:
    recent, before = b"", 0
    for ahead, value in pushes:
        now = (before or NOW) + ahead
        recent, before = push_recent(recent, before, now, value), now
        assert len(recent) == 4 * SLOTS

"""Numbers and times as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from labpanel.lib import durations, units

NOW = datetime(2026, 8, 21, 14, 30, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0 bytes"),
        (512, "512 bytes"),
        (1536, "1.5 KiB"),
        (38 * 2**30, "38 GiB"),
        (1.2 * 2**30, "1.2 GiB"),
        (2 * 2**40, "2 TiB"),
        (3000 * 2**50, "3 000 PiB"),
    ],
)
def test_size(count: float | None, text: str) -> None:
    assert units.size(count).replace(units.NARROW, " ") == text


def test_part_of_a_whole_is_in_the_unit_of_the_whole() -> None:
    shown = units.size_of(1.25 * 2**30, 2 * 2**30).replace(units.NARROW, " ")
    assert shown == "1.2 of 2 GiB"
    assert units.size_of(1, None) == "–"


def test_a_missing_value_is_never_zero() -> None:
    nan = float("nan")
    assert {units.percent(nan), units.rate(nan), units.milliseconds(nan), units.number(nan)} == {
        "–"
    }
    assert units.percent(0) != units.percent(None)


def test_milliseconds_become_seconds() -> None:
    assert units.milliseconds(412).replace(units.NARROW, " ") == "412 ms"
    assert units.milliseconds(2400).replace(units.NARROW, " ") == "2.4 s"


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abc"), "a, b and c")],
)
def test_listed(names: list[str], text: str) -> None:
    assert units.listed(names) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8, "8 s ago"),
        (200, "3 min ago"),
        (3 * 3600, "3 h ago"),
        (35 * 3600, "35 h ago"),
        (9 * 86_400, "9 d ago"),
        (3 * 365.25 * 86_400, "3 years ago"),
        (-30, "just now"),
        (0, "just now"),
    ],
)
def test_ago(seconds: float, text: str) -> None:
    shown = durations.ago(NOW - timedelta(seconds=seconds), NOW)
    assert shown.replace(units.NARROW, " ") == text


def test_never_is_said() -> None:
    assert durations.ago(None, NOW) == "never"


@pytest.mark.parametrize(
    ("then", "text"),
    [
        (NOW.replace(hour=2, minute=14), "02:14"),
        (NOW - timedelta(days=3), "Tuesday 14:30"),
        (NOW - timedelta(days=30), "22 Jul 14:30"),
        (NOW - timedelta(days=400), "17 Jul 2025"),
    ],
)
def test_clock(then: datetime, text: str) -> None:
    assert durations.clock(then, NOW) == text


def test_exact_names_the_zone() -> None:
    assert durations.exact(NOW) == "Fri 21 Aug 2026 14:30:00 UTC"

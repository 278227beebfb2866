"""The wall clock held against the time since boot."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labpanel.lib.clock import (
    AHEAD,
    BACK,
    OFF,
    SETTLED,
    TOLERANCE,
    ClockReading,
    ClockState,
    sentence,
    steady,
    trust,
    watch,
)
from labpanel.lib.units import NARROW

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0
START = ClockReading("boot-1", 1000.0, NOON)


def after(seconds: float, jump: float = 0.0, *, held: bool = False) -> ClockReading:
    """A look so many seconds after START, by a clock that jumped."""
    return ClockReading("boot-1", START.uptime + seconds, START.wall + seconds + jump, held)


def looked(*readings: ClockReading) -> ClockState:
    watched = trust(START)
    for reading in readings:
        watched = watch(watched, reading)
    return watched


def test_a_clock_that_only_goes_on_is_believed_over_days_of_suspend() -> None:
    assert sentence(looked(after(15), after(30), after(9 * 86_400))) == ""


@pytest.mark.parametrize(("jump", "word"), [(HOUR, "ahead"), (-HOUR, "back")])
def test_a_jump_by_an_hour_is_in_doubt_and_says_what_to_do(jump: float, word: str) -> None:
    said = sentence(looked(after(15), after(30, jump)))
    assert word in said
    assert f"60{NARROW}min" in said
    assert "./panel clock confirm" in said


def test_a_jump_right_between_two_looks_hours_apart_is_seen() -> None:
    assert looked(after(5 * HOUR, HOUR)).doubt == AHEAD


def test_the_doubt_ends_when_the_clock_is_back() -> None:
    assert looked(after(15, HOUR), after(30, 2.0)).doubt == ""


def test_a_clock_that_went_back_is_believed_once_it_has_caught_up() -> None:
    behind = looked(after(15), after(30, -HOUR))
    assert behind.doubt == BACK
    assert watch(behind, after(HOUR - 60, -HOUR)).doubt == BACK
    assert watch(behind, after(HOUR + 60, -HOUR)).doubt == ""


def test_a_clock_that_stays_ahead_stays_in_doubt() -> None:
    days = [after(15 + 86_400 * day, HOUR) for day in range(60)]
    assert looked(*days).doubt == AHEAD


def test_a_time_server_that_still_agrees_hours_later_is_believed() -> None:
    ahead = looked(after(0, held=True), after(15, HOUR, held=True))
    assert watch(ahead, after(HOUR, HOUR, held=True)).doubt == AHEAD
    assert watch(ahead, after(16 + SETTLED, HOUR, held=True)).doubt == ""


def test_a_time_server_that_went_away_in_between_begins_anew() -> None:
    away, again = after(SETTLED - 60, HOUR), after(SETTLED, HOUR, held=True)
    ahead = looked(after(15, HOUR, held=True), away, again)
    assert watch(ahead, after(SETTLED + 60, HOUR, held=True)).doubt == AHEAD


def test_the_owner_s_word_ends_it() -> None:
    said = trust(after(30, HOUR))
    assert watch(said, after(45, HOUR)).doubt == ""


def test_many_small_steps_count_as_one_jump() -> None:
    creeping = [after(10.0 * turn, 60.0 * turn) for turn in range(1, 61)]
    assert looked(*creeping).doubt == AHEAD


@pytest.mark.parametrize("gap", [30.0, 8 * HOUR])
def test_a_reboot_is_no_jump(gap: float) -> None:
    assert watch(trust(START), ClockReading("boot-2", 20.0, NOON + gap)).doubt == ""


def test_after_a_reboot_the_newest_time_does_not_go_back() -> None:
    """A machine without a battery-backed clock starts in 1970, or where it was shut down."""
    early = watch(trust(START), ClockReading("boot-2", 20.0, 86_400.0))
    assert early.doubt == BACK
    right = watch(early, ClockReading("boot-2", 80.0, NOON + 600, synchronized=True))
    assert right.doubt == ""


def test_after_days_off_only_a_time_server_or_the_owner_is_believed() -> None:
    later = NOON + OFF + HOUR
    assert watch(trust(START), ClockReading("boot-2", 20.0, later)).doubt == AHEAD
    assert watch(trust(START), ClockReading("boot-2", 20.0, later, synchronized=True)).doubt == ""


def test_a_time_server_that_sets_a_young_boot_right_is_believed() -> None:
    """Raspberry Pi and the like: the clock starts where it was at the shutdown, days ago."""
    start = watch(trust(START), ClockReading("boot-2", 20.0, NOON + 30))
    right = watch(start, ClockReading("boot-2", 50.0, NOON + 9 * 86_400.0, synchronized=True))
    assert right.doubt == ""
    late = watch(start, ClockReading("boot-2", 9000.0, NOON + 9 * 86_400.0, synchronized=True))
    assert late.doubt == AHEAD


def test_a_doubt_outlives_a_reboot() -> None:
    ahead = looked(after(15, 400 * 86_400.0))
    assert (
        watch(ahead, ClockReading("boot-2", 9.0, ahead.wall + 60, synchronized=True)).doubt == AHEAD
    )


def test_a_step_is_not_steady_for_a_minute() -> None:
    stepped = looked(after(15), after(30, 20.0))
    assert stepped.doubt == ""  # small: nothing is deleted wrongly, but beats are off
    assert not steady(stepped, 60)
    assert steady(watch(stepped, after(91, 20.0)), 60)


@given(
    jump=st.floats(-1e9, 1e9).filter(lambda jump: abs(jump) > TOLERANCE + 1),
    before=st.floats(1, 1e7),
    held=st.booleans(),
)
def test_no_jump_goes_unseen(jump: float, before: float, held: bool) -> None:
    watched = looked(after(before, held=held))
    seen = watch(watched, after(before + 1, jump, held=held))
    assert seen.doubt == (AHEAD if jump > 0 else BACK)
    assert sentence(replace(seen, since=NOON))

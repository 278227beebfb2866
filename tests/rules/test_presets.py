"""Calendars that a form offers."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.rules.policies.calendar import Calendar, wrong
from backups.rules.policies.presets import DAILY, MONTHLY, OTHER, WEEKLY, Preset, read

presets = st.builds(
    Preset,
    often=st.sampled_from([DAILY, WEEKLY, MONTHLY]),
    at=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    weekday=st.integers(0, 6),
    day=st.integers(1, 28),
)


@given(presets)
def test_what_a_form_wrote_is_read_again(preset: Preset) -> None:
    cron = preset.written()
    assert wrong(Calendar(cron, "UTC")) == ""
    again = read(cron)
    assert (again.often, again.at, again.written()) == (preset.often, preset.at, cron)


@pytest.mark.parametrize(
    "cron",
    ["*/5 * * * *", "0 2 * * 1-5", "0 2 29 * *", "0 2 1 * 1", "99 2 * * *", "", "0 25 * * *"],
)
def test_the_rest_stays_as_it_is(cron: str) -> None:
    assert read(cron) == Preset(OTHER, cron=cron)
    assert read(cron).written() == cron


def test_seven_is_sunday_too() -> None:
    assert read("0 2 * * 7") == Preset(WEEKLY, time(2), weekday=0)

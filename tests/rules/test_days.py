"""The strip of days: what each day shows, and what is said of it aloud."""

from datetime import date, timedelta

import pytest

from backups.rules.coverage.days import (
    BEFORE,
    DAMAGED,
    FAILED,
    MISSED,
    QUIET,
    SHOWN,
    WORKED,
    Failure,
    Happened,
    strip,
    troubles,
    words,
)

TODAY = date(2026, 11, 23)
DAY = timedelta(days=1)
LONG_AGO = TODAY - 90 * DAY
FAILURE = Failure("far is full.", 7)


@pytest.mark.parametrize(
    ("happened", "state"),
    [
        (Happened(LONG_AGO), QUIET),
        (Happened(TODAY + DAY), BEFORE),
        (Happened(LONG_AGO, copied={TODAY}), WORKED),
        (Happened(LONG_AGO, damaged={TODAY}), DAMAGED),
        (Happened(LONG_AGO, failed={TODAY: FAILURE}), FAILED),
        (Happened(LONG_AGO, missed={TODAY}), MISSED),
        # One whole copy is enough, whatever else went wrong on that day.
        (Happened(LONG_AGO, {TODAY}, {TODAY}, {TODAY: FAILURE}, {TODAY}), WORKED),
        (Happened(LONG_AGO, (), {TODAY}, {TODAY: FAILURE}), DAMAGED),
        (Happened(LONG_AGO, (), (), {TODAY: FAILURE}, {TODAY}), FAILED),
    ],
)
def test_a_day(happened: Happened, state: str) -> None:
    assert strip(happened, TODAY)[-1].state == state


def test_a_strip_ends_today_and_begins_four_weeks_before() -> None:
    days = strip(Happened(TODAY - 3 * DAY, copied={TODAY - DAY}), TODAY)
    assert [each.day for each in days] == [TODAY - n * DAY for n in range(SHOWN - 1, -1, -1)]
    assert [each.state for each in days[-5:]] == [BEFORE, QUIET, QUIET, WORKED, QUIET]


def test_troubles_come_newest_first_with_their_reason() -> None:
    days = strip(Happened(LONG_AGO, failed={TODAY - DAY: FAILURE}, missed={TODAY}), TODAY)
    assert [(each.day, each.state, each.why, each.job) for each in troubles(days)] == [
        (TODAY, MISSED, "", None),
        (TODAY - DAY, FAILED, "far is full.", 7),
    ]


def test_a_strip_in_words() -> None:
    copied = {TODAY - n * DAY for n in (1, 8, 15)}
    days = strip(Happened(LONG_AGO, copied, failed={TODAY: FAILURE}), TODAY)
    assert (
        words(days) == "Last 28 days: a copy on 3 days, last 22 Nov; failed on 1 day, last 23 Nov."
    )
    assert words(strip(Happened(LONG_AGO), TODAY)) == "Last 28 days: no run."

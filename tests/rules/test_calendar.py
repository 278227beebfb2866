"""When a backup is due, over changes of the clocks and times without a panel."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.rules.policies.calendar import (
    Calendar,
    age_limit,
    daily,
    in_window,
    monthly,
    newest_due,
    next_due,
    period,
    weekly,
    wrong,
)
from backups.rules.policies.calendar_words import in_words

BERLIN = ZoneInfo("Europe/Berlin")
WEEKLY = Calendar("0 2 * * 0", "Europe/Berlin")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "now", "before", "after"),
    [
        # Sundays at 02:00 in Berlin: 01:00 UTC in winter, 00:00 UTC in summer.
        ("0 2 * * 0", "2026-11-23 12:00", "2026-11-22 01:00", "2026-11-29 01:00"),
        ("0 2 * * 0", "2026-06-10 12:00", "2026-06-07 00:00", "2026-06-14 00:00"),
        # 2026-03-29: 02:00 becomes 03:00. 02:30 is skipped, so it is due right after the gap.
        ("30 2 * * *", "2026-03-29 00:59", "2026-03-28 01:30", "2026-03-29 01:00"),
        ("30 2 * * *", "2026-03-29 01:00", "2026-03-29 01:00", "2026-03-30 00:30"),
        # 2026-10-25: 03:00 becomes 02:00. 02:30 comes twice and is due the first time, 00:30 UTC.
        ("30 2 * * *", "2026-10-25 00:29", "2026-10-24 00:30", "2026-10-25 00:30"),
        ("30 2 * * *", "2026-10-25 01:15", "2026-10-25 00:30", "2026-10-26 01:30"),
        # Between the two 02:45s the clock on the wall says 02:15 again: it was due already.
        ("45 2 * * *", "2026-10-25 01:15", "2026-10-25 00:45", "2026-10-26 01:45"),
        # Every quarter of an hour goes on through both.
        ("*/15 * * * *", "2026-10-25 01:07", "2026-10-25 01:00", "2026-10-25 01:15"),
        # Exactly at the instant it is due; the next is the one after.
        ("0 2 * * 0", "2026-11-22 01:00", "2026-11-22 01:00", "2026-11-29 01:00"),
    ],
)
def test_due_around(cron: str, now: str, before: str, after: str) -> None:
    calendar = Calendar(cron, "Europe/Berlin")
    newest = newest_due(calendar, LONG_AGO, utc(now))
    assert newest is not None
    assert newest.astimezone(UTC) == utc(before)
    assert next_due(calendar, utc(now)).astimezone(UTC) == utc(after)


def test_a_month_without_a_panel_is_one_run() -> None:
    last_run, now = utc("2026-10-25 01:00"), utc("2026-11-23 12:00")
    assert newest_due(WEEKLY, last_run, now) == utc("2026-11-22 01:00")
    assert newest_due(WEEKLY, utc("2026-11-22 01:00"), now) is None


def test_microseconds_hide_nothing() -> None:
    due = utc("2026-11-22 01:00")
    assert newest_due(WEEKLY, LONG_AGO, due + timedelta(microseconds=7)) == due
    assert newest_due(WEEKLY, LONG_AGO, due - timedelta(microseconds=7)) == due - timedelta(days=7)
    assert next_due(WEEKLY, due - timedelta(microseconds=7)) == due


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
CRONS = ["0 2 * * 0", "30 2 * * *", "15 1 1 * *", "*/20 * * * *", "0 */6 * * 1-5", "59 23 L * *"]


@given(
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_the_next_due_time_is_the_newest_once_it_is_there(
    cron: str, zone: str, now: datetime
) -> None:
    calendar = Calendar(cron, zone)
    coming = next_due(calendar, now)
    assert coming.astimezone(UTC) > now
    assert newest_due(calendar, LONG_AGO, coming.astimezone(UTC)) == coming
    before = newest_due(calendar, LONG_AGO, coming.astimezone(UTC) - timedelta(seconds=1))
    assert before is not None
    assert before.astimezone(UTC) <= now
    assert next_due(calendar, before.astimezone(UTC)) == coming


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        (daily(time(2, 0)), 1),
        (weekly(time(2, 0), 0), 7),
        (monthly(time(2, 0), 1), 31),
        ("0 2 * * 1-5", 3),
        ("0 8-18 * * *", 14 / 24),
        ("0 2 1 1 *", 366),
    ],
)
def test_period_is_the_longest_gap(cron: str, days: float) -> None:
    assert period(cron) == timedelta(days=days)


def test_age_limit_leaves_time_for_the_run() -> None:
    assert age_limit(WEEKLY) == timedelta(days=8)
    assert age_limit(Calendar(daily(time(2)), "UTC")) == timedelta(hours=30)
    assert age_limit(Calendar("0 * * * *", "UTC")) == timedelta(hours=3)


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [
        ("0 2 * *", "UTC", "five fields"),
        ("0 0 2 * * *", "UTC", "five fields"),
        ("", "UTC", "five fields"),
        ("61 2 * * *", "UTC", "its minute makes no sense"),
        ("0 2 31 2 *", "UTC", "its day of month makes no sense"),
        ("0 2 * * MOO", "UTC", "its day of week makes no sense"),
        ("0 2 * * *", "Europe/Berln", "Did you mean Europe/Berlin?"),
        ("0 2 * * *", "../../etc/passwd", "no time zone"),
        ("0 2 * * *", "", "no time zone"),
    ],
)
def test_refusals_are_sentences(cron: str, zone: str, said: str) -> None:
    assert said in wrong(Calendar(cron, zone))


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 2 * * 0", "every Sunday at 02:00"),
        ("0 2 * * 7", "every Sunday at 02:00"),
        ("0 2 * * *", "every day at 02:00"),
        ("5 2,14 * * *", "every day at 02:05 and 14:05"),
        ("0 2 * * 1,5", "every Monday and Friday at 02:00"),
        ("0 2 * * MON-FRI", "Monday to Friday at 02:00"),
        ("30 3 1 * *", "on the 1st of every month at 03:30"),
        ("30 3 L * *", "on the last day of every month at 03:30"),
        ("0 * * * *", "every hour"),
        ("15 * * * *", "every hour at 15 minutes past"),
    ],
)
def test_plain_words(cron: str, said: str) -> None:
    calendar = Calendar(cron, "Europe/Berlin")
    assert wrong(calendar) == ""
    assert in_words(calendar) == f"{said}, Europe/Berlin"


@pytest.mark.parametrize("cron", ["*/7 3 * 2 1#2", "0 2 13 * 5", "0 2 * * 5L", "1-9 0 LW 3 *"])
def test_there_are_words_for_the_rest(cron: str) -> None:
    calendar = Calendar(cron, "UTC")
    assert wrong(calendar) == ""
    assert in_words(calendar).endswith(", UTC")


@pytest.mark.parametrize(
    ("clock", "start", "end", "inside"),
    [
        ("2026-11-23 00:30", time(1), time(5), True),  # 01:30 in Berlin
        ("2026-11-23 04:00", time(1), time(5), False),
        ("2026-11-23 22:00", time(22), time(6), True),
        ("2026-11-23 12:00", time(22), time(6), False),
        ("2026-11-23 12:00", None, None, True),
    ],
)
def test_window(clock: str, start: time | None, end: time | None, *, inside: bool) -> None:
    assert in_window(utc(clock), "Europe/Berlin", start, end) is inside

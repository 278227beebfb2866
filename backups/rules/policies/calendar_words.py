"""A calendar in plain words: "every Sunday at 02:00, Europe/Berlin". Pure.

What cron can say and people seldom want is left to cronsim's own words.
"""

from datetime import UTC, datetime, time

from cronsim import CronSim

from backups.rules.policies.calendar import Calendar
from labpanel.lib.units import listed

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_EVERY_DAY, _EVERY_MONTH = set(range(1, 32)), set(range(1, 13))
_MOST_TIMES = 4
_ORDINALS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def in_words(calendar: Calendar) -> str:
    """The calendar, which must not be `wrong`, as a part of a sentence."""
    parsed = CronSim(calendar.cron, datetime(2026, 1, 1, tzinfo=UTC))
    said = _plain(parsed) or _lowered(parsed.explain())
    return f"{said}, {calendar.zone}"


def _plain(parsed: CronSim) -> str:
    """Empty where it needs more than the usual words."""
    days = _days(parsed)
    if parsed.months != _EVERY_MONTH or len(parsed.minutes) != 1 or not days:
        return ""
    (minute,) = parsed.minutes
    if len(parsed.hours) <= _MOST_TIMES:
        return (
            f"{days} at {listed([f'{time(hour, minute):%H:%M}' for hour in sorted(parsed.hours)])}"
        )
    if len(parsed.hours) == 24 and days == "every day":
        return f"every hour at {minute} minutes past" if minute else "every hour"
    return ""


def _days(parsed: CronSim) -> str:
    weekdays = {day % 7 for day in parsed.weekdays if isinstance(day, int)}
    special = len(parsed.weekdays - set(range(8))) > 0
    if parsed.days == _EVERY_DAY and len(weekdays) == 7:
        return "every day"
    if parsed.days == _EVERY_DAY and not special:
        names = [WEEKDAYS[day] for day in (*range(1, 7), 0) if day in weekdays]
        return "Monday to Friday" if weekdays == {1, 2, 3, 4, 5} else f"every {listed(names)}"
    if len(weekdays) == 7 and len(parsed.days) <= _MOST_TIMES:
        return f"on the {listed([_ordinal(day) for day in sorted(parsed.days)])} of every month"
    return ""


def _ordinal(day: int) -> str:
    if day == CronSim.LAST:
        return "last day"
    if day == CronSim.LAST_WEEKDAY:
        return "last weekday"
    return f"{day}{_ORDINALS.get(day, 'th')}"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]

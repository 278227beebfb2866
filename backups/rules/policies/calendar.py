"""When a backup is due: a cron expression and a time zone in, instants out. Pure.

The five fields are crontab(5)'s, read by cronsim, which does at a change of the clocks what
Debian's cron does: a time of day that is skipped is due right after the gap, one that comes twice
is due the first time. All instants are aware; what is returned stands in the given zone.
"""

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

_FIELDS = 5
# A search in local time begins so far away that no change of the clocks hides a due time from it.
_AROUND = timedelta(hours=3)
_SPARE_LEAST, _SPARE_MOST = timedelta(hours=2), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """`cron` has five fields, `zone` is an IANA name; see `wrong` for what is refused."""

    cron: str
    zone: str


def wrong(calendar: Calendar) -> str:
    """Why this is not a calendar, as a sentence; empty if it is one."""
    if calendar.zone not in _zones():
        return _unknown_zone(calendar.zone)
    cron = calendar.cron
    if len(cron.split()) != _FIELDS:
        return (
            f"{cron!r} is not a calendar: it takes five fields as in crontab(5), minute, hour, day "
            f"of the month, month and day of the week; `0 2 * * 0` is every Sunday at 02:00."
        )
    try:
        next(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        part = str(error).removeprefix("Bad ").replace("-", " ")
        return f"{cron!r} is not a calendar: its {part} makes no sense."
    except StopIteration:
        return f"{cron!r} is not a calendar: there is no such day."
    return ""


def next_due(calendar: Calendar, after: datetime) -> datetime:
    """The first due instant later than `after`."""
    zone = ZoneInfo(calendar.zone)
    begin = (after - _AROUND).astimezone(zone)
    return next(due for due in CronSim(calendar.cron, begin) if due.astimezone(UTC) > after)


def newest_due(calendar: Calendar, since: datetime, now: datetime) -> datetime | None:
    """The newest due instant later than `since` and not later than `now`: after a time without a
    panel that is one run, not one for each that was missed. None: nothing was due."""
    zone = ZoneInfo(calendar.zone)
    begin = (now + _AROUND).astimezone(zone)
    newest = next(
        due for due in CronSim(calendar.cron, begin, reverse=True) if due.astimezone(UTC) <= now
    )
    return newest if newest.astimezone(UTC) > since else None


@lru_cache(maxsize=256)
def period(cron: str) -> timedelta:
    """The longest time from one due instant to the next in a year without changes of the clocks:
    7 days for a weekly calendar, 3 days for one of Monday to Friday. Only gaps around midnights
    are looked at, so one between two times of a day counts when it reaches over midnight."""
    longest, midnight = timedelta(), datetime(2028, 1, 1, tzinfo=UTC)
    while midnight.year == 2028:  # a leap year: the longest gaps of a month and of a year
        early = next(CronSim(cron, midnight + timedelta(seconds=1), reverse=True))
        late = next(CronSim(cron, midnight))
        longest = max(longest, late - early)
        midnight = datetime.combine(late.date() + timedelta(days=1), time(), tzinfo=UTC)
    return longest


def age_limit(calendar: Calendar) -> timedelta:
    """How old the newest copy may be before it is stale: the period, and a quarter of it to
    spare (2 hours at least, a day at most), for the run itself and a few tries."""
    longest = period(calendar.cron)
    return longest + max(_SPARE_LEAST, min(_SPARE_MOST, longest / 4))


def in_window(now: datetime, zone: str, start: time | None, end: time | None) -> bool:
    """Whether `now` lies in the hours from `start` to `end`, which may go past midnight; without
    both it always does."""
    if start is None or end is None:
        return True
    clock = now.astimezone(ZoneInfo(zone)).time()
    if start <= end:
        return start <= clock < end
    return clock >= start or clock < end


def daily(at: time) -> str:
    return f"{at.minute} {at.hour} * * *"


def weekly(at: time, weekday: int) -> str:
    """`weekday` is crontab(5)'s: 0 is Sunday."""
    return f"{at.minute} {at.hour} * * {weekday}"


def monthly(at: time, day: int) -> str:
    """On that day of the month, 1 to 28: later ones some months do not have."""
    return f"{at.minute} {at.hour} {day} * *"


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _unknown_zone(zone: str) -> str:
    folded = {name.casefold().rsplit("/", 1)[-1]: name for name in sorted(_zones())}
    word = zone.casefold().replace(" ", "_").rsplit("/", 1)[-1]
    near = difflib.get_close_matches(word, folded, n=2, cutoff=0.7)
    hint = f" Did you mean {' or '.join(folded[name] for name in near)}?" if near else ""
    return f"There is no time zone {zone!r}; it takes a name like Europe/Berlin.{hint}"

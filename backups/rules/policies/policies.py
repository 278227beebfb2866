"""What a policy may ask for. Pure: what is wrong with it, as sentences."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import time

from backups.rules.policies import calendar
from backups.rules.policies.calendar import Calendar
from backups.rules.policies.places import FAR, NEAR
from labpanel.lib.units import count, listed

# Less would not get a home lab's disk through in a week.
LEAST_BYTES_PER_SECOND = 64 << 10
MOST_BYTES_PER_SECOND = 1 << 40
_MOST_KEPT, _MOST_DAYS = 1000, 3650
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class PolicyFields:
    """A policy's fields, as backups.models.Policy explains them."""

    name: str
    cron: str
    timezone: str
    places: Sequence[str]
    keep_last: int
    keep_daily: int
    keep_weekly: int
    keep_monthly: int
    bytes_per_second: int | None
    verify_days: int
    rehearse_days: int
    deep_days: int
    window_start: time | None
    window_end: time | None


def wrongs(wanted: PolicyFields, stores: Collection[str]) -> list[str]:
    """Everything that is wrong, a sentence each; none is a yes. `stores` are the names known."""
    found = [
        _name(wanted.name),
        calendar.wrong(Calendar(wanted.cron, wanted.timezone)),
        _places(wanted.places, stores),
        *_numbers(wanted),
        _cap(wanted.bytes_per_second),
        _window(wanted.window_start, wanted.window_end),
    ]
    return [sentence for sentence in found if sentence]


def _name(name: str) -> str:
    if not name.strip():
        return "A policy needs a name."
    if any(unicodedata.category(letter).startswith("C") for letter in name):
        return "A policy's name has no control characters."
    if len(name) > _LONGEST_NAME:
        return f"A policy's name has {_LONGEST_NAME} characters at most."
    return ""


def _places(places: Sequence[str], stores: Collection[str]) -> str:
    if not places:
        return "Say where to: to another machine (far), to the VM's own host (near), or to a store."
    unknown = [place for place in places if place not in {FAR, NEAR, *stores}]
    if unknown:
        known = f"; known are {listed(sorted(stores))}" if stores else ""
        return f"There is no store {unknown[0]!r}{known}."
    return ""


def _numbers(wanted: PolicyFields) -> list[str]:
    kept = (wanted.keep_last, wanted.keep_daily, wanted.keep_weekly, wanted.keep_monthly)
    days = (wanted.verify_days, wanted.deep_days)
    found = []
    if wanted.keep_last < 1:
        found.append("The newest copy is always kept: keep at least 1 of the last.")
    if not all(0 <= number <= _MOST_KEPT for number in kept):
        found.append(f"How many copies to keep is a number from 0 to {_MOST_KEPT}.")
    if not all(1 <= number <= _MOST_DAYS for number in days):
        found.append(f"Copies are read back, and bitmaps ignored, every 1 to {_MOST_DAYS} days.")
    if not 0 <= wanted.rehearse_days <= _MOST_DAYS:
        found.append(f"Copies are booted every 1 to {_MOST_DAYS} days; 0 means never.")
    return found


def _cap(bytes_per_second: int | None) -> str:
    if bytes_per_second is None:
        return ""
    if bytes_per_second < LEAST_BYTES_PER_SECOND:
        return "A cap below 64 KiB/s would never let a backup end; leave it empty for no cap."
    if bytes_per_second > MOST_BYTES_PER_SECOND:
        return "A cap above 1 TiB/s caps nothing; leave it empty for no cap."
    return ""


def _window(start: time | None, end: time | None) -> str:
    if (start is None) != (end is None):
        return "The hours for reading back and booting need both a beginning and an end."
    if start is not None and start == end:
        return "The hours for reading back and booting begin and end at the same time."
    return ""


def keeps(last: int, daily: int, weekly: int, monthly: int) -> str:
    """ "the last 3 copies, one a week for 4 weeks"."""
    parts = ["the last copy" if last == 1 else f"the last {last} copies"]
    for number, unit in ((daily, "day"), (weekly, "week"), (monthly, "month")):
        if number:
            parts.append(f"one a {unit} for {count(number, unit)}")
    return ", ".join(parts)

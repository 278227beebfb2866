"""Times as people say them: "3 h ago", "since Saturday 02:14". Standard library only.

All times are aware; the zone of `now` (or of the value) is the one that is shown.
"""

from datetime import datetime, timedelta

from labpanel.lib.units import NARROW

MINUTE, HOUR, DAY = 60, 3600, 86_400
# up to (seconds), unit, its length: the second unit begins where two figures of it are reached
_UNITS = ((90, "s", 1), (90 * MINUTE, "min", MINUTE), (36 * HOUR, "h", HOUR))
_DAYS_UNTIL_YEARS = 730


def span(seconds: float) -> str:
    """A length of time in one unit: "8 s", "3 min", "5 h", "12 d", "3 years"."""
    seconds = max(0.0, seconds)
    for limit, unit, length in _UNITS:
        if seconds < limit:
            return f"{seconds / length:.0f}{NARROW}{unit}"
    days = seconds / DAY
    if days < _DAYS_UNTIL_YEARS:
        return f"{days:.0f}{NARROW}d"
    return f"{days / 365.25:.0f}{NARROW}years"


def between(earlier: datetime, later: datetime) -> str:
    return span((later - earlier).total_seconds())


def ago(then: datetime | None, now: datetime) -> str:
    """ "8 s ago"; "never" for None. A time in the future (clocks differ) is "just now"."""
    if then is None:
        return "never"
    if then >= now - timedelta(seconds=1):
        return "just now"
    return f"{between(then, now)} ago"


def coming(then: datetime, now: datetime) -> str:
    """ "in 3 h"; "now" for what is due already."""
    return f"in {between(now, then)}" if then > now else "now"


def exact(then: datetime) -> str:
    """ "Sat 22 Nov 2026 02:14:07 UTC"."""
    return f"{then:%a} {then.day} {then:%b %Y %H:%M:%S} {then.tzname() or ''}".rstrip()


def clock(then: datetime, now: datetime) -> str:
    """As in "since …": "02:14" today, "Saturday 02:14" within six days, else "18 Aug 02:14"."""
    then = then.astimezone(now.tzinfo)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    if timedelta() < now - then < timedelta(days=6):
        return f"{then:%A %H:%M}"
    if then.year == now.year:
        return f"{then.day} {then:%b %H:%M}"
    return f"{then.day} {then:%b %Y}"

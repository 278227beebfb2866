"""How fast a store fills, from one reading a day."""

from collections.abc import Sequence
from datetime import date

from labpanel.lib.growth import DaysLeft, Growth, days_left, through

__all__ = ["LEAST_DAYS", "DaysLeft", "Growth", "days_left", "growth"]

# Two readings make any line perfect: what fewer than four say is chance.
LEAST_DAYS = 4


def growth(used: Sequence[tuple[date, int]]) -> Growth:
    """The line through (day, used bytes), in any order."""
    days = len({day for day, _ in used})
    if days < LEAST_DAYS:
        return Growth(days)
    first = min(day for day, _ in used)
    return through([(float((day - first).days), float(each)) for day, each in used], days)

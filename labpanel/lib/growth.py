"""How fast something fills: a straight line through what was measured, and how well it fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

# A line's slope lies within two of its standard errors in 95 of 100 cases.
_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Growth:
    """`bytes_per_day` and how far off it may be; None where there is too little to say."""

    days: int
    bytes_per_day: float | None = None
    error: float = 0.0

    @property
    def per_week(self) -> float | None:
        return None if self.bytes_per_day is None else 7 * self.bytes_per_day

    @property
    def grows(self) -> bool:
        """Whether it fills, beyond what the scatter of the days could pretend."""
        return self.bytes_per_day is not None and self.bytes_per_day - self.error > 0


@dataclass(frozen=True, slots=True)
class DaysLeft:
    """Until it is full: the line's own number, and the range that its scatter allows."""

    days: float
    least: float
    most: float

    @property
    def sure(self) -> str:
        """ "sure", "roughly" or "a guess"."""
        if self.most > 4 * self.least:
            return "a guess"
        return "sure" if self.most <= 1.5 * self.least else "roughly"


def through(points: Sequence[tuple[float, float]], days: int) -> Growth:
    """The least-squares line through three (day, used bytes) or more, in any order."""
    middle = sum(x for x, _ in points) / len(points)
    level = sum(y for _, y in points) / len(points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    slope = sum((x - middle) * (y - level) for x, y in points) / spread
    rest = sum((y - level - slope * (x - middle)) ** 2 for x, y in points)
    return Growth(days, slope, _ERRORS * sqrt(rest / (len(points) - 2) / spread))


def days_left(found: Growth, available_bytes: int | None) -> DaysLeft | None:
    """None where it does not fill, or where that cannot be said."""
    if available_bytes is None or found.bytes_per_day is None or not found.grows:
        return None
    slow = found.bytes_per_day - found.error
    return DaysLeft(
        days=available_bytes / found.bytes_per_day,
        least=available_bytes / (found.bytes_per_day + found.error),
        most=available_bytes / slow if slow > 0 else inf,
    )

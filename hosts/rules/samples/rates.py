"""Two readings of counters → rates. What cannot be known is NaN, never zero.

No value comes from a counter that went back, from counters of another life (the VM was started
again, the host booted), from a gap of more than three turns, or from a field that one of the two
readings lacks: libvirt leaves out fields and whole groups as it likes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

NAN = math.nan
TURN = 10.0  # seconds between samples (labpanel.celery.TURNS)
GAP = 3 * TURN
SOON = 1.0  # below this the turns of two workers met; a rate would be noise

# (a key of LAYOUTS, the subject's name) → values in the layout's order
Values = dict[tuple[str, str], list[float]]


@dataclass(frozen=True, slots=True)
class RateCounters:
    """One reading. `at` in seconds, taken before the question was asked: a slow answer must not
    stretch the time. `life` is what must be the same for a difference to mean anything."""

    at: float
    life: str
    fields: Mapping[str, float] = field(default_factory=dict)


class Change:
    """What may be said of the time between two readings. `before` may be missing."""

    __slots__ = ("_before", "_now", "seconds")

    def __init__(self, before: RateCounters | None, now: RateCounters) -> None:
        self._now = now.fields
        self._before: Mapping[str, float] = {}
        self.seconds = NAN
        if before is not None and before.life == now.life and SOON <= now.at - before.at <= GAP:
            self._before = before.fields
            self.seconds = now.at - before.at

    def gauge(self, name: str, scale: float = 1.0) -> float:
        """The value as it stands now."""
        return self._now.get(name, NAN) * scale

    def grown(self, name: str) -> float:
        """How much a counter has grown."""
        grown = self._now.get(name, NAN) - self._before.get(name, NAN)
        return grown if grown >= 0 else NAN

    def rate(self, name: str, scale: float = 1.0) -> float:
        """A counter's growth each second."""
        return self.grown(name) * scale / self.seconds

    def per(self, name: str, count: str, scale: float = 1.0) -> float:
        """Growth of one counter for each step of another: the time that a request took. No value
        where there was no request."""
        steps = self.grown(count)
        return self.grown(name) * scale / steps if steps > 0 else NAN


def headline(kind: str, values: list[float]) -> float:
    """The one value that a small graph shows: how busy the CPUs are, else the layout's first."""
    return values[0] + values[1] if kind == "host" else values[0]

"""The clock for pages and commands that only look: nothing is written."""

from labpanel.adapters.here import clocks
from labpanel.clock.models import ClockWatch
from labpanel.lib.clock import ClockState, jumped, watch


def watched() -> ClockState:
    """What is known of the clock, as of now."""
    row = ClockWatch.objects.first()
    return watch(row.value() if row else None, clocks.read())


def doubted() -> str:
    """What the clock did that it is not believed, as a sentence; empty if it is."""
    return jumped(watched())

"""Look at the clock and remember what was seen."""

from dataclasses import asdict

from django.db import transaction

from labpanel.adapters.here import clocks
from labpanel.clock.models import ClockWatch
from labpanel.lib.clock import ClockReading, ClockState, watch

ROW = 1
# Over a reboot the newest time that was seen is all that is known, and that it could be written at
# all is known by how fresh it is (services/steady.py).
KEPT_SECONDS = 12.0


def look(reading: ClockReading | None = None) -> ClockState:
    """What is known of the clock, this look included. Written down on change, and otherwise once in
    KEPT_SECONDS."""
    before = kept()
    now = reading or clocks.read()
    seen = watch(before, now)
    if before is not None and not _news(before, seen):
        return seen
    return _write(now)


def _write(reading: ClockReading) -> ClockState:
    """Once more, with the row locked: of two processes that see a step both keep it."""
    with transaction.atomic():
        row = ClockWatch.objects.select_for_update().filter(pk=ROW).first()
        seen = watch(row.value() if row else None, reading)
        keep(seen)
    return seen


def keep(watched: ClockState) -> None:
    ClockWatch.objects.update_or_create(pk=ROW, defaults=asdict(watched))


def kept() -> ClockState | None:
    """The last look that was written down."""
    row = ClockWatch.objects.filter(pk=ROW).first()
    return row.value() if row else None


def _news(before: ClockState, seen: ClockState) -> bool:
    same = (before.boot, before.doubt, before.stepped_at) == (
        seen.boot,
        seen.doubt,
        seen.stepped_at,
    )
    held = (before.held_since is None) == (seen.held_since is None)
    return not same or not held or abs(seen.uptime - before.uptime) >= KEPT_SECONDS

"""Whether a silence by the wall clock is a silence."""

import time

from labpanel.clock.services.look import KEPT_SECONDS, kept, look
from labpanel.lib import clock
from labpanel.lib.clock import ClockState

# Beats come every 5 s, turns every 15 s: after so long each was written by the new time.
SECONDS = 60.0
# The look at the clock is written down this often; beats count as silent after 30 s.
GAP = KEPT_SECONDS + 13.0
# Turns that are always late (a machine without time) are no full disk: one excuse, then none.
EXCUSED_ONCE_IN = 120.0
_excused_at = -EXCUSED_ONCE_IN


def steady() -> bool:
    """False for a minute after the wall clock made a step, and once right after a time in which
    nothing could be written (a full disk): what lives has to speak again first."""
    before, now = kept(), look()
    return clock.steady(now, SECONDS) and not _was_unwritten(before, now)


def _was_unwritten(before: ClockState | None, now: ClockState) -> bool:
    global _excused_at
    if before is None or before.boot != now.boot or now.uptime - before.uptime <= GAP:
        return False
    if time.monotonic() - _excused_at < EXCUSED_ONCE_IN:
        return False
    _excused_at = time.monotonic()
    return True

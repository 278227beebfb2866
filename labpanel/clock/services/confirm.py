"""The owner says that the clock is right."""

import logging

from labpanel.adapters.here import clocks
from labpanel.clock.services.look import keep, look
from labpanel.lib.actor import Actor
from labpanel.lib.clock import ClockReading, sentence, trust

log = logging.getLogger(__name__)


def confirm(by: Actor, reading: ClockReading | None = None) -> str:
    """Believe the clock from now on; returns the doubt that this ended, empty if there was none."""
    now = reading or clocks.read()
    ended = sentence(look(now))
    keep(trust(now))
    if ended:
        log.warning("%s confirmed the clock: %s", by, ended)
    return ended

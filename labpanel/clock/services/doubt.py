"""Whether what is derived from dates may be deleted now."""

from labpanel.clock.services.look import look
from labpanel.lib.clock import ClockReading, sentence


def doubt(reading: ClockReading | None = None) -> str:
    """Why not, as a sentence for the user; empty if the clock is believed. Ask right before each
    step that deletes: the clock may have jumped since the job was opened."""
    return sentence(look(reading))

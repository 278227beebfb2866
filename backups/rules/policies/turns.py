"""Whether a due backup is to be tried now. Pure.

A run that fails is tried again with growing waits until it is given up; the next due time begins
afresh. One that its owner cancelled is not forced upon them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from labpanel.lib.clock import SLACK

WAITS = (
    timedelta(minutes=5),
    timedelta(minutes=20),
    timedelta(hours=1),
    timedelta(hours=4),
)
MOST_TRIES = len(WAITS) + 1

NOTHING, DONE, ACTIVE, CANCELLED, GIVEN_UP, WAIT, TRY = (
    "nothing due",
    "done",
    "active",
    "cancelled",
    "given up",
    "wait",
    "try",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One due time of one VM and store. `job` is the state of its last job ("" if none was opened
    yet), `ended_at` when that job ended."""

    due_at: datetime | None
    tries: int = 0
    job: str = ""
    ended_at: datetime | None = None


def decide(turn: Turn, now: datetime) -> tuple[str, datetime | None]:
    """What is so, one of the words above, and for WAIT until when."""
    if turn.due_at is None:
        return NOTHING, None
    if turn.job in {"waiting", "running"}:
        return ACTIVE, None
    if turn.job in {"done", "cancelled"}:
        return (DONE if turn.job == "done" else CANCELLED), None
    if turn.tries >= MOST_TRIES:
        return GIVEN_UP, None
    if turn.tries and turn.ended_at is not None:
        again = turn.ended_at + WAITS[turn.tries - 1]
        # A try that ended in the future was dated by a clock that was ahead.
        if turn.ended_at - SLACK <= now < again:
            return WAIT, again
    return TRY, None

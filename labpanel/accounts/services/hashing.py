"""Passwords are hashed a few at a time: one costs a core for about half a second, on purpose.

A sign-in from an unknown address gets one of two places, so that a flood of them does not keep the
owner out.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from labpanel.lib.refusal import Refusal

PLACES = 2
PLACES_OF_STRANGERS = 1
WAITING = 8  # threads that wait for a place
WAITING_STRANGERS = 5
PATIENCE_SECONDS = 5.0
BUSY = 503


class Hashing:
    """Counted in this process: there is one web process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at_work = [0, 0]  # of known ones, of strangers
        self._waiting = [0, 0]

    @contextmanager
    def place(self, *, stranger: bool = False) -> Iterator[None]:
        """Raises Refusal (503) when it would take too long."""
        with self._changed:
            self._wait(stranger)
            self._at_work[stranger] += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work[stranger] -= 1
                self._changed.notify_all()

    def _wait(self, stranger: bool) -> None:  # noqa: FBT001 - an index
        full = sum(self._waiting) >= WAITING
        if full or (stranger and self._waiting[True] >= WAITING_STRANGERS):
            raise _busy()
        self._waiting[stranger] += 1
        try:
            if not self._changed.wait_for(lambda: self._fits(stranger), PATIENCE_SECONDS):
                raise _busy()
        finally:
            self._waiting[stranger] -= 1

    def _fits(self, stranger: bool) -> bool:  # noqa: FBT001 - an index
        if stranger and self._at_work[True] >= PLACES_OF_STRANGERS:
            return False
        return sum(self._at_work) < PLACES


def _busy() -> Refusal:
    return Refusal("The panel is looking at other passwords. Try again in a few seconds.", BUSY)


hashing = Hashing()

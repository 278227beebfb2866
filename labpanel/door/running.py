"""Requests that are being answered, counted for each client and in all."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class NoRoom(Exception):
    """The count stands at its limit."""


class Counted:
    """Entered and counted in one go: nothing can come between the look and the count."""

    def __init__(self, for_one: int, in_all: int) -> None:
        self.for_one = for_one
        self.in_all = in_all
        self._inside: Counter[str] = Counter()
        # One may leave while the garbage collector runs in a thread that is just entering.
        self._lock = threading.RLock()

    @contextmanager
    def one(self, whose: str) -> Iterator[None]:
        """Raises NoRoom."""
        self.enter(whose)
        try:
            yield
        finally:
            self.leave(whose)

    def enter(self, whose: str) -> None:
        """Raises NoRoom."""
        with self._lock:
            if self._inside[whose] >= self.for_one or self._inside.total() >= self.in_all:
                raise NoRoom
            self._inside[whose] += 1

    def leave(self, whose: str) -> None:
        with self._lock:
            self._inside[whose] -= 1
            if self._inside[whose] <= 0:
                del self._inside[whose]

"""One at a time within a process, without waiting: a turn that still runs is not started twice."""

import contextlib
import threading
from collections.abc import Iterator

_guard = threading.Lock()
_busy: set[str] = set()


@contextlib.contextmanager
def single_flight(key: str) -> Iterator[bool]:
    """True for the only one at `key`; False when another is inside, whatever it then skips."""
    with _guard:
        mine = key not in _busy
        _busy.add(key)
    try:
        yield mine
    finally:
        if mine:
            with _guard:
                _busy.discard(key)

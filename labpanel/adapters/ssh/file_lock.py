"""One at a time, between threads and processes: a lock on a file, with a deadline (flock(2))."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from labpanel.adapters.errors import TimedOut

_POLL_SECONDS = 0.05


@contextlib.contextmanager
def locked(path: Path, deadline: float, what: str) -> Iterator[None]:
    """Hold the lock on `path`, which is made if it is not there and never removed.

    Raises TimedOut, which names `what`, after `deadline` seconds.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + deadline
        while not _taken(handle):
            if time.monotonic() >= until:
                raise TimedOut(f"{what} is still busy with an earlier attempt.")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(handle)  # and with it the lock


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

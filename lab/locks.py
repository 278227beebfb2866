"""Exclusive locks between processes, released by the kernel when one is killed."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.commands import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path("/run/lock")


def _open_locked(path: Path) -> int | None:
    """Open and lock ``path``; None when another process holds it or removed it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before us unlinks the file: a lock on an unlinked file guards nothing.
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


@contextmanager
def exclusive(name: str, *, timeout: float) -> Iterator[None]:
    """Hold the lock ``name`` for the block; LabError after ``timeout`` seconds."""
    path = FOLDER / f"labpanel-lab-{name}.lock"
    FOLDER.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + timeout
    while (descriptor := _open_locked(path)) is None:
        if time.monotonic() > end:
            raise LabError(f"Another process has held the lab's lock {path} for {timeout:g} s.")
        time.sleep(0.1)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)

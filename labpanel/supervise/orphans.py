"""Grandchildren whose parent ended come to the supervisor, which ends them when it stops.

OpenSSH's control masters detach from the worker that started them; so does whatever a killed
worker leaves behind.
"""

import ctypes
import os
import signal
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt() -> None:
    """From now on orphaned descendants become children of this process (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[int]:
    """This process's children, adopted ones too (proc(5), task/TID/children)."""
    pid = os.getpid()
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def reap(known: set[int]) -> None:
    """Take the status of adopted children that ended. `known` have a waiter of their own."""
    for pid in set(children()) - known:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass  # its own waiter has collected it


def end_all(grace: float = 3.0) -> list[int]:
    """TERM, then after `grace` seconds KILL, to every child that is left; returns which were."""
    left = children()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in children():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # ended meanwhile
        until = time.monotonic() + grace
        while children() and time.monotonic() < until:
            reap(set())
            time.sleep(0.05)
    return left

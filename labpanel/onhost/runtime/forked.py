"""Work in a child that may hang in the kernel: it is left behind, and holds nothing of ours open.
Standard library only."""

import contextlib
import ctypes
import os
from collections.abc import Callable
from typing import NoReturn

_PR_SET_NAME = 15  # linux/prctl.h
_MOST_OPEN = 256  # none of our programs opens more


def start(work: Callable[[int], None], name: str = "") -> tuple[int, int]:
    """Fork a child that does `work` with the end of a pipe to write to, and ends; (its process id,
    the end to read from). `name` is at most 15 bytes and stands in /proc/PID/comm."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _in_child(work, writer, name)
    os.close(writer)
    return pid, reader


def _in_child(work: Callable[[int], None], writer: int, name: str) -> NoReturn:
    try:
        if name:
            ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
        # ssh ends when its pipes are closed everywhere: a child that hangs must not hold them.
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        for number in range(3, _MOST_OPEN):
            if number != writer:
                with contextlib.suppress(OSError):  # it was not open
                    os.close(number)
        work(writer)
    finally:
        os._exit(0)

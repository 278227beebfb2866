"""This machine's clocks, read together: what it says the time is, and how long it has run."""

import ctypes
import time
from functools import cache
from pathlib import Path

from labpanel.lib.clock import ClockReading

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STA_UNSYNC = 0x0040  # linux/timex.h


class _Timex(ctypes.Structure):
    """The head of struct timex (adjtimex(2)); the kernel fills the rest of the room as well."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def read() -> ClockReading:
    """CLOCK_BOOTTIME counts through suspend, CLOCK_MONOTONIC does not (clock_gettime(2))."""
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    return ClockReading(_boot(), uptime, time.time(), _synchronized())


@cache
def _boot() -> str:
    """random(4): made anew at every boot. A machine without it is known by its uptime alone."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()[:64]
    except (OSError, ValueError):
        return ""


def _synchronized() -> bool:
    """Whether the kernel says that a time server disciplines the clock. Setting the time by hand
    takes that back (kernel/time/ntp.c, ntp_clear); no answer means no."""
    state = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state)) < 0:
        return False
    return not state.status & STA_UNSYNC

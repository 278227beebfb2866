"""Packed rows of 32-bit floats, little-endian; NaN is "no value". Standard library only."""

import math
import sys
from array import array
from collections.abc import Iterable

NAN = math.nan
SLOTS = 60  # minutes in a Subject's `recent`
_SWAP = sys.byteorder == "big"


def pack(values: Iterable[float]) -> bytes:
    row = array("f", values)
    if _SWAP:
        row.byteswap()
    return row.tobytes()


def unpack(packed: bytes) -> "array[float]":
    row = array("f")
    row.frombytes(packed)
    if _SWAP:
        row.byteswap()
    return row


def widened(packed: bytes, length: int, blocks: int) -> bytes:
    """A row of `blocks` blocks from before its layout grew, filled up with NaN to `length` values
    at the end of each block."""
    missing = length * 4 - len(packed)
    if not missing:
        return packed
    old, blank = len(packed) // blocks, pack([NAN] * (missing // 4 // blocks))
    return b"".join(packed[n * old : (n + 1) * old] + blank for n in range(blocks))


def push_recent(recent: bytes, before_at: int, at: int, value: float) -> bytes:
    """`recent` (one mean a minute, newest last) with one more value, read at `at`.

    `before_at` is the time of the value pushed before. Minutes in between stay empty. Within a
    minute a value weighs as much as its place there says, which is its share of the mean as long
    as none is missing.
    """
    slots = unpack(recent)
    minutes = at // 60 - before_at // 60 if before_at else SLOTS
    if minutes < 0:
        return recent  # older than what is there
    slots.extend([NAN] * min(minutes, SLOTS))
    slots = array("f", [NAN] * (SLOTS - len(slots))) + slots[-SLOTS:]
    known = slots[-1]
    if math.isnan(known):
        slots[-1] = value
    elif not math.isnan(value):
        place = at % 60 // 10 or 1
        slots[-1] = known + (value - known) / (place + 1)
    return pack(slots)

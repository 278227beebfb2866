"""Rows of one tier → one row of the next: min, mean, max of what is known."""

import math
from collections.abc import Sequence

from labpanel.lib.packed import NAN, pack, unpack, widened


def roll(rows: Sequence[bytes], blocks: int) -> bytes:
    """`rows` of one bucket, each of `blocks` blocks (1, or 3 for min, mean, max).

    A bucket's mean is the mean of its rows' means: a row with half of its readings weighs as much
    as a whole one, which no graph shows.
    """
    length = max(len(row) for row in rows) // 4
    data = unpack(b"".join(widened(row, length, blocks) for row in rows))
    width = length // blocks
    block = {1: (0, 0, 0), 3: (0, width, 2 * width)}[blocks]
    low: list[float] = []
    mean: list[float] = []
    high: list[float] = []
    for value in range(width):
        lows, means, highs = (_known(data[start + value :: length]) for start in block)
        low.append(min(lows, default=NAN))
        mean.append(math.fsum(means) / len(means) if means else NAN)
        high.append(max(highs, default=NAN))
    return pack([*low, *mean, *high])


def _known(column: Sequence[float]) -> list[float]:
    return [value for value in column if not math.isnan(value)]

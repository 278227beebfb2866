"""Stretches of bytes in words. Standard library only."""

from collections.abc import Sequence


def spelled(spans: Sequence[Sequence[int]], shown: int = 4) -> str:
    """Of [first byte, byte after the last] each: "bytes 0–262143, bytes 524288–786431 and 3 more
    places"."""
    words = ", ".join(f"bytes {first}–{after - 1}" for first, after in spans[:shown])
    more = len(spans) - shown
    return f"{words} and {more} more places" if more > 0 else words

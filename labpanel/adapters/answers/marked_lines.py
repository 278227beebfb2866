"""Lines with a mark, out of whatever a machine sends, read within limits."""

import os
import select
import time

from labpanel.adapters.answers.bounded import Late

# The longest message: an NVRAM file of 3 MiB in hexadecimal digits is just one (OVMF's have
# 528 KiB). As Python's text one character may take four bytes.
MOST_LINE = 6 << 20
# What login files and banners may print beside the messages.
MOST_NOISE = 1 << 20
_CHUNK = 1 << 16


class Flooded(Exception):
    """More was sent than is read; the text says what of it."""


class MarkedLines:
    """The rest of each line of `fd` that holds `mark`, one after the other. Memory: one line."""

    def __init__(self, fd: int, mark: str, *, most_line: int = MOST_LINE) -> None:
        self._fd, self._mark, self._most = fd, mark.encode("ascii"), most_line
        self._buffer = bytearray()
        self._searched = 0
        self._noise = 0

    def next(self, until: float) -> bytes | None:
        """The next one; None at the end. `until` is a time of time.monotonic().

        Raises Late and Flooded. What is not asked for stays with its sender: the pipe is full then.
        """
        while True:
            found = self._buffer.find(self._mark)
            if found >= 0:
                end = self._buffer.find(b"\n", max(found, self._searched))
                if end >= 0:
                    return self._take(found, end)
                self._searched = len(self._buffer)
            else:
                self._drop(self._buffer.rfind(b"\n") + 1)
            if not self._read(until):
                return None

    def _take(self, found: int, end: int) -> bytes:
        """Take a line out of the buffer: what stands behind its mark."""
        with memoryview(self._buffer) as whole:
            message = bytes(whole[found + len(self._mark) : end])
        self._searched = 0
        self._drop(found)
        del self._buffer[: end - found + 1]
        return message

    def _drop(self, length: int) -> None:
        """Noise: lines without a mark, and what stands before a mark in its line."""
        del self._buffer[:length]
        self._noise += length
        if self._noise > MOST_NOISE:
            raise Flooded(f"more than {MOST_NOISE >> 20} MiB that labpanel's program did not write")

    def _read(self, until: float) -> bool:
        """More of it; False at the end."""
        ready, _, _ = select.select([self._fd], [], [], max(0.0, until - time.monotonic()))
        if not ready or time.monotonic() > until:
            raise Late
        chunk = os.read(self._fd, _CHUNK)
        self._buffer += chunk
        if len(self._buffer) > self._most:
            raise Flooded(f"a line of more than {self._most >> 20} MiB")
        if len(self._buffer) > MOST_NOISE and self._mark not in self._buffer[:MOST_NOISE]:
            raise Flooded(f"more than {MOST_NOISE >> 20} MiB that labpanel's program did not write")
        return bool(chunk)

"""Copies, checks or restores one virtual disk between NBD exports, block by block with digests.

Runs where the data is: on the source host of a backup (see saver.py) or of a move, on the store's
machine of a verification or a restore. Needs the distribution's python3-libnbd.
"""

import errno
import hashlib
import threading
from typing import Any

import nbd

from labpanel.adapters.scripts import digests as lists
from labpanel.adapters.scripts import saver
from labpanel.adapters.scripts.blocks import (
    ALLOCATION,
    Ranges,
    Side,
    bytes_in,
    digest_of,
    everything,
    number_of_blocks,
    ranges,
    without,
    zero_ranges,
)
from labpanel.adapters.scripts.crew import Crew, Tally
from labpanel.adapters.scripts.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.adapters.scripts.wire import Problem, serve

LONGER = 64 * 1024  # a target that is compressed ends with a whole cluster
RUN = 1  # blocks read at once: what was read is digested while the CPU's cache has it


class Copy:
    """What the threads share while one disk is worked on."""

    def __init__(self, source: Side, target: Side | None, expected: bytes | None) -> None:
        self.source, self.target, self.expected = source, target, expected
        handle = source.connect(ALLOCATION)
        self.size: int = handle.get_size()
        self.zeros: Ranges = zero_ranges(handle, self.size, everything(self.size))
        handle.shutdown()
        self.longer = 0
        if target is not None:
            other = target.connect()
            self.longer = other.get_size() - self.size
            other.shutdown()
            if not 0 <= self.longer < LONGER:
                raise Problem(
                    "size", f"{self.size} bytes do not fit {self.size + self.longer} bytes."
                )
        blocks = number_of_blocks(self.size)
        if expected is not None and len(expected) != blocks * DIGEST_BYTES:
            raise Problem("digests", "The list of digests does not fit the size of the disk.")
        self.digests = bytearray(blocks * DIGEST_BYTES)
        self.tally = Tally(self.size)
        self.bad: list[int] = []
        self._lock = threading.Lock()

    def settle_zeros(self) -> None:
        """What the map says is zero needs no reading."""
        for first, after in self.zeros:
            self.tally.add(bytes_in([(first, after)], self.size))
            if self.expected is None:
                continue
            for block in range(first, after):
                self.found(block, ZERO)

    def found(self, block: int, digest: bytes) -> None:
        at = block * DIGEST_BYTES
        self.digests[at : at + DIGEST_BYTES] = digest
        if self.expected is not None and self.expected[at : at + DIGEST_BYTES] != digest:
            self.bad_block(block)

    def bad_block(self, block: int) -> None:
        """A restore stops at the first; a check collects them."""
        with self._lock:
            self.bad.append(block)
        if self.target is not None:
            raise Problem("digest", f"The block at byte {block * BLOCK} is not what was backed up.")


class Desk:
    """One thread of a copy (see crew.Station)."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self._source = copy.source.connect()
        self._target = copy.target.connect() if copy.target else None

    def close(self) -> None:
        if self._target is not None:
            self._target.flush()
            self._target.shutdown()
        self._source.shutdown()

    def do(self, first: int, after: int) -> None:
        copy, start = self._copy, first * BLOCK
        length = min(after * BLOCK, copy.size) - start
        try:
            data = memoryview(self._source.pread(length, start))
        except nbd.Error as error:
            self._unreadable(first, after, error)
            return
        for block in range(first, after):
            piece = data[block * BLOCK - start : (block + 1) * BLOCK - start]
            digest = digest_of(piece)
            copy.found(block, digest)
            written = 0
            if self._target is not None and digest != ZERO:
                self._write(block, piece)
                written = len(piece)
            copy.tally.add(len(piece), read=len(piece), written=written)

    def _unreadable(self, first: int, after: int, error: nbd.Error) -> None:
        """A check goes on, block by block: it is there to find them all."""
        copy = self._copy
        gone = self._source.aio_is_dead() or self._source.aio_is_closed()
        if copy.expected is None or copy.target is not None or gone:
            raise Problem("read", f"Reading at byte {first * BLOCK} failed: {error}") from error
        if after - first > 1:
            for block in range(first, after):
                self.do(block, block + 1)
            return
        copy.bad_block(first)
        copy.tally.add(min(BLOCK, copy.size - first * BLOCK))

    def _write(self, block: int, data: memoryview) -> None:
        assert self._target is not None
        if len(data) < BLOCK:
            data = memoryview(bytes(data) + bytes(self._copy.longer))
        try:
            self._target.pwrite(data, block * BLOCK)
        except nbd.Error as error:
            code = "full" if error.errnum == errno.ENOSPC else "write"
            raise Problem(code, f"Writing at byte {block * BLOCK} failed: {error}") from error


def one_disk(
    disk: str, source: list[str], target: list[str] | None = None, digests: str = ""
) -> dict[str, Any]:
    """Copy, check or restore one disk; `source` and `target` are [socket, export], `digests` the
    path of a list to hold the content against."""
    expected = lists.read(digests) if digests else None
    try:
        copy = Copy(Side(*source), Side(*target) if target else None, expected)
        copy.settle_zeros()
        todo = without(everything(copy.size), copy.zeros)
        Crew(disk, copy.tally).work(todo, lambda: Desk(copy), RUN)
    except nbd.Error as error:
        raise Problem("nbd", f"The connection to the disk broke: {error}") from error
    return {
        "virtual_bytes": copy.size,
        "read_bytes": copy.tally.read,
        "written_bytes": copy.tally.written,
        "seconds": copy.tally.seconds,
        "bad": ranges(copy.bad),
        "root": hashlib.sha256(copy.digests).hexdigest(),
    }


def main() -> None:
    serve(
        {
            "ready": lambda: True,
            "disk": one_disk,
            "flagged": saver.flagged,
            "back_up": saver.back_up,
        }
    )

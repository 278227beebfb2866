"""Gives an image the content of a generation's disk, fetching only the blocks that differ.

Runs on the host of the image, which is read and digested there; the list of digests and the blocks
come through NBD exports of the store. Without a source nothing is written: every block is held
against the list, and those that differ are named. Needs python3-libnbd.
"""

import errno
import hashlib
import threading
from typing import Any

import nbd

from labpanel.adapters.scripts.blocks import (
    ALLOCATION,
    Ranges,
    Side,
    bytes_in,
    digest_of,
    everything,
    merged,
    number_of_blocks,
    ranges,
    without,
    zero_ranges,
)
from labpanel.adapters.scripts.crew import Crew, Tally
from labpanel.adapters.scripts.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.adapters.scripts.wire import Problem, serve

RUN = 4  # blocks read at once
CHUNK = 1 << 20
LONGER = 64 * 1024  # an export's size is rounded up to whole sectors or clusters


def listed(digests: Side, blocks: int) -> bytes:
    """The list behind an NBD export of its file, of any format (see digests.py)."""
    handle = digests.connect()
    size = handle.get_size()
    content = b"".join(
        bytes(handle.pread(min(CHUNK, size - at), at)) for at in range(0, size, CHUNK)
    )
    handle.shutdown()
    start = content.find(b"\n") + 1
    found = content[start : start + blocks * DIGEST_BYTES]
    if not start or len(found) != blocks * DIGEST_BYTES:
        raise Problem("digests", "The list of digests does not fit the size of the disk.")
    return found


class Difference:
    """What the threads share while one disk is worked on. `sent` is what came from the store."""

    def __init__(self, target: Side, source: Side | None, digests: Side, size: int) -> None:
        self.target, self.source, self.size = target, source, size
        handle = target.connect(ALLOCATION)
        longer = handle.get_size() - size
        zeros = zero_ranges(handle, size, everything(size))
        handle.shutdown()
        if not 0 <= longer < LONGER:
            raise Problem("size", f"{size} bytes do not fit {size + longer} bytes.")
        self.expected = listed(digests, number_of_blocks(size))
        self.zeros = merged(
            (block, block + 1)
            for first, after in zeros
            for block in range(first, after)
            if self.wanted(block) == ZERO
        )
        self.tally = Tally(size)
        self.tally.add(bytes_in(self.zeros, size))
        self.bad: list[int] = []
        self._lock = threading.Lock()

    @property
    def todo(self) -> Ranges:
        return without(everything(self.size), self.zeros)

    def wanted(self, block: int) -> bytes:
        return self.expected[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES]

    def found_bad(self, block: int) -> None:
        with self._lock:
            self.bad.append(block)


class Bench:
    """One thread's place of work (see crew.Station)."""

    def __init__(self, difference: Difference) -> None:
        self._all = difference
        self._target = difference.target.connect()
        self._source = difference.source.connect() if difference.source else None

    def close(self) -> None:
        if self._source is not None:
            self._target.flush()
            self._source.shutdown()
        self._target.shutdown()

    def do(self, first: int, after: int) -> None:
        start = first * BLOCK
        length = min(after * BLOCK, self._all.size) - start
        try:
            data = memoryview(self._target.pread(length, start))
        except nbd.Error as error:
            raise Problem("image", f"Reading the image at byte {start} failed: {error}") from error
        for block in range(first, after):
            piece = data[block * BLOCK - start : (block + 1) * BLOCK - start]
            wanted = self._all.wanted(block)
            sent = 0
            if digest_of(piece) != wanted:
                sent = self._differs(block, len(piece), wanted)
            self._all.tally.add(len(piece), read=sent, written=sent)

    def _differs(self, block: int, length: int, wanted: bytes) -> int:
        """Bytes that were fetched for it."""
        if self._source is None:
            self._all.found_bad(block)
            return 0
        at = block * BLOCK
        if wanted == ZERO:
            self._write(lambda: self._target.zero(length, at), at)
            return 0
        try:
            data = self._source.pread(length, at)
        except nbd.Error as error:
            gone = self._source.aio_is_dead() or self._source.aio_is_closed()
            code = "nbd" if gone else "source"
            raise Problem(code, f"Reading at byte {at} failed: {error}") from error
        if digest_of(data) != wanted:
            raise Problem("digest", f"The block at byte {at} is not what was backed up.")
        self._write(lambda: self._target.pwrite(data, at), at)
        return length

    def _write(self, write: Any, at: int) -> None:
        try:
            write()
        except nbd.Error as error:
            code = "full" if error.errnum == errno.ENOSPC else "write"
            raise Problem(code, f"Writing at byte {at} failed: {error}") from error


def one_disk(
    disk: str,
    virtual_bytes: int,
    target: list[str],
    digests: list[str],
    source: list[str] | None = None,
) -> dict[str, Any]:
    """`target`, `digests` and `source` are [socket, export]; `virtual_bytes` is the generation's
    size of the disk. `sent_bytes` came from the store, `bad` are [first byte, byte after]."""
    try:
        there = Side(*source) if source else None
        difference = Difference(Side(*target), there, Side(*digests), virtual_bytes)
        Crew(disk, difference.tally).work(difference.todo, lambda: Bench(difference), RUN)
    except nbd.Error as error:
        raise Problem("nbd", f"The connection to the disk broke: {error}") from error
    return {
        "virtual_bytes": virtual_bytes,
        "sent_bytes": difference.tally.written,
        "seconds": difference.tally.seconds,
        "bad": ranges(difference.bad),
        "root": hashlib.sha256(difference.expected).hexdigest(),
    }


def main() -> None:
    serve({"ready": lambda: True, "disk": one_disk})

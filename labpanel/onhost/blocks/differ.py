"""Gives an image the content of a generation's disk, fetching only the blocks that differ.

Runs on the host of the image, which is read and digested there; the list of digests and the blocks
come through NBD exports of the store. Without a source nothing is written: every block is held
against the list, and those that differ are named. Needs python3-libnbd.
"""

import hashlib
import threading
from collections.abc import Callable
from typing import Any

from labpanel.lib.store_format.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.onhost.blocks.block_worker import BlockWorker
from labpanel.onhost.blocks.blocks import (
    ALLOCATION,
    Ranges,
    Side,
    beyond,
    bytes_in,
    digest_at,
    digest_of,
    everything,
    merged,
    number_of_blocks,
    ranges,
    without,
    zero_ranges,
)
from labpanel.onhost.blocks.connection import IoFailed, NbdConnection, connected
from labpanel.onhost.blocks.worker_pool import Tally, WorkerPool
from labpanel.onhost.runtime.wire import Problem, serve

RUN = 4  # blocks read at once
CHUNK = 1 << 20


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


class DiffState:
    """What the threads share while one disk is worked on. `sent` is what came from the store."""

    def __init__(self, target: Side, source: Side | None, digests: Side, size: int) -> None:
        self.target, self.source, self.size = target, source, size
        handle = target.connect(ALLOCATION)
        zeros = zero_ranges(handle, size, everything(size))
        beyond(size, handle.get_size())
        handle.shutdown()
        self.expected = listed(digests, number_of_blocks(size))
        self.zeros = merged(
            (block, block + 1)
            for first, after in zeros
            for block in range(first, after)
            if digest_at(self.expected, block) == ZERO
        )
        self.tally = Tally(size)
        self.tally.add(bytes_in(self.zeros, size))
        self.bad: list[int] = []
        self._lock = threading.Lock()

    @property
    def todo(self) -> Ranges:
        return without(everything(self.size), self.zeros)

    def found_bad(self, block: int) -> None:
        with self._lock:
            self.bad.append(block)


class DiffWorker(BlockWorker):
    """One thread: reads the image, and writes to it what it fetches."""

    def __init__(self, difference: DiffState) -> None:
        self._image = NbdConnection(difference.target)
        super().__init__(difference.size, self._image)
        self._all = difference
        self._there = NbdConnection(difference.source) if difference.source else None

    def close(self) -> None:
        if self._there is not None:
            self._image.flush()
            self._there.close()
        self._image.close()

    def unread(self, first: int, after: int, failed: IoFailed) -> None:
        sentence = f"Reading the image at byte {failed.first} failed: {failed}"
        raise Problem("image", sentence, failed.io) from failed

    def block(self, block: int, data: memoryview) -> None:
        wanted = digest_at(self._all.expected, block)
        sent = 0 if digest_of(data) == wanted else self._differs(block, len(data), wanted)
        self._all.tally.add(len(data), read=sent, written=sent)

    def _differs(self, block: int, length: int, wanted: bytes) -> int:
        """Bytes that were fetched for it."""
        if self._there is None:
            self._all.found_bad(block)
            return 0
        at = block * BLOCK
        if wanted == ZERO:
            self._image.zero(length, at)
            return 0
        try:
            data = self._there.read(length, at)
        except IoFailed as failed:
            raise failed.problem("nbd" if failed.gone else "source") from failed
        if digest_of(data) != wanted:
            raise Problem("digest", f"The block at byte {at} is not what was backed up.")
        self._image.write(data, at)
        return length


def one_disk(
    disk: str,
    virtual_bytes: int,
    target: list[str],
    digests: list[str],
    source: list[str] | None = None,
) -> dict[str, Any]:
    """`target`, `digests` and `source` are [socket, export]; `virtual_bytes` is the generation's
    size of the disk. `sent_bytes` came from the store, `bad` are [first byte, byte after]."""
    with connected():
        there = Side(*source) if source else None
        difference = DiffState(Side(*target), there, Side(*digests), virtual_bytes)
        pool = WorkerPool(disk, difference.tally)
        pool.work(difference.todo, lambda: DiffWorker(difference), RUN)
    return {
        "virtual_bytes": virtual_bytes,
        "sent_bytes": difference.tally.written,
        "seconds": difference.tally.seconds,
        "bad": ranges(difference.bad),
        "root": hashlib.sha256(difference.expected).hexdigest(),
    }


VERBS: dict[str, Callable[..., Any]] = {"ready": lambda: True, "disk": one_disk}


def main() -> None:
    serve(VERBS)

"""Copies, digests or restores one virtual disk between NBD exports, block by block with digests.

Runs where the data is: on the source host of a backup (see saver.py) or of a move, on the store's
machine of a restore. Needs the distribution's python3-libnbd.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from labpanel.lib.store_format.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.onhost.blocks import digests as lists
from labpanel.onhost.blocks import saver
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
    fitting,
    number_of_blocks,
    without,
    zero_ranges,
)
from labpanel.onhost.blocks.connection import NbdConnection, connected
from labpanel.onhost.blocks.worker_pool import Tally, WorkerPool
from labpanel.onhost.runtime.wire import Problem, serve

RUN = 1  # blocks read at once: what was read is digested while the CPU's cache has it


class Copy:
    """What the threads share while one disk is worked on. With `expected`, a list of digests, the
    copy ends at the first block that is not as the list says."""

    def __init__(self, source: Side, target: Side | None, expected: bytes | None) -> None:
        self.source, self.target, self.expected = source, target, expected
        handle = source.connect(ALLOCATION)
        self.size: int = handle.get_size()
        self.zeros: Ranges = zero_ranges(handle, self.size, everything(self.size))
        handle.shutdown()
        self.longer = 0
        if target is not None:
            other = target.connect()
            self.longer = beyond(self.size, other.get_size())
            other.shutdown()
        if expected is not None:
            fitting(expected, self.size)
        self.digests = bytearray(number_of_blocks(self.size) * DIGEST_BYTES)
        self.tally = Tally(self.size)

    def settle_zeros(self) -> None:
        """What the map says is zero needs no reading."""
        for first, after in self.zeros:
            self.tally.add(bytes_in([(first, after)], self.size))
            if self.expected is not None:
                for block in range(first, after):
                    self.found(block, ZERO)

    def found(self, block: int, digest: bytes) -> None:
        at = block * DIGEST_BYTES
        self.digests[at : at + DIGEST_BYTES] = digest
        if self.expected is not None and digest_at(self.expected, block) != digest:
            raise Problem("digest", f"The block at byte {block * BLOCK} is not what was backed up.")


class CopyWorker(BlockWorker):
    """One thread of a copy."""

    def __init__(self, copy: Copy) -> None:
        target = NbdConnection(copy.target) if copy.target else None
        super().__init__(copy.size, NbdConnection(copy.source), target)
        self._copy = copy

    def block(self, block: int, data: memoryview) -> None:
        copy, digest, written = self._copy, digest_of(data), 0
        copy.found(block, digest)
        if self.target is not None and digest != ZERO:
            short = len(data) < BLOCK
            self.target.write(bytes(data) + bytes(copy.longer) if short else data, block * BLOCK)
            written = len(data)
        copy.tally.add(len(data), read=len(data), written=written)


def one_disk(
    disk: str, source: list[str], target: list[str] | None = None, digests: str = ""
) -> dict[str, Any]:
    """Copy, digest or restore one disk; `source` and `target` are [socket, export], `digests` the
    path of a list that the content must be as."""
    expected = lists.read(digests) if digests else None
    with connected():
        copy = Copy(Side(*source), Side(*target) if target else None, expected)
        copy.settle_zeros()
        todo = without(everything(copy.size), copy.zeros)
        WorkerPool(disk, copy.tally).work(todo, lambda: CopyWorker(copy), RUN)
    return {
        "virtual_bytes": copy.size,
        "read_bytes": copy.tally.read,
        "written_bytes": copy.tally.written,
        "seconds": copy.tally.seconds,
        "root": hashlib.sha256(copy.digests).hexdigest(),
    }


VERBS: dict[str, Callable[..., Any]] = {
    "ready": lambda: True,
    "disk": one_disk,
    "flagged": saver.flagged,
    "back_up": saver.back_up,
}


def main() -> None:
    serve(VERBS)

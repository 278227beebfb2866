"""A disk of a generation, served so that nothing is handed out that is not as it was backed up.

Stands between QEMU's export of the stored images and the VM that runs on them: each block is read
whole and held against the generation's list of digests, whose own digest the panel knows, before a
byte of it goes on. A block that is not what was backed up is a read error, and is written down.
Runs on the store's machine; needs python3-libnbd.
"""

import errno
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import nbd

from labpanel.lib.store_format.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.onhost.blocks import digests
from labpanel.onhost.blocks.blocks import Side, digest_of, number_of_blocks
from labpanel.onhost.blocks.nbd_server import ServedExport, Server
from labpanel.onhost.runtime.wire import Problem

KEPT = 32  # blocks in memory: a guest reads a few KiB at a time, and mostly in order


class Checked:
    """One disk; any thread may read. `noted` is called with the first byte of a bad block."""

    def __init__(
        self, source: Side, listed: bytes, virtual_bytes: int, noted: Callable[[int], None]
    ) -> None:
        self._source, self._list, self._noted = source, listed, noted
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._end = virtual_bytes
        handle = source.connect()
        self.size: int = handle.get_size()
        handle.shutdown()
        fits = len(listed) == number_of_blocks(virtual_bytes) * DIGEST_BYTES
        if not fits or not 0 <= self.size - virtual_bytes < BLOCK:
            raise Problem("digests", "The list of digests does not fit the size of the disk.")

    def read(self, at: int, length: int) -> Iterator[tuple[int, int, bytes | memoryview | None]]:
        """Pieces of a range, one for each block that it touches; zeros need no reading."""
        end = at + length
        while at < end:
            block, first = at // BLOCK, at % BLOCK
            size = min(BLOCK - first, end - at)
            if at >= self._end or self._digest(block) == ZERO:
                yield at, size, None
            else:
                data = self._block(block).ljust(first + size, b"\0")
                yield at, size, memoryview(data)[first : first + size]
            at += size

    def zeros(self, at: int, length: int) -> tuple[int, bool]:
        """How many bytes from `at` on are alike by the list, and whether they are zeros."""
        block, end = at // BLOCK, at + length
        alike = self._digest(block) == ZERO
        block += 1
        while block * BLOCK < end and (self._digest(block) == ZERO) == alike:
            block += 1
        return min(block * BLOCK, end) - at, alike

    def _digest(self, block: int) -> bytes:
        return self._list[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES] or ZERO

    def _block(self, block: int) -> bytes:
        with self._lock:
            if block in self._recent:
                self._recent.move_to_end(block)
                return self._recent[block]
        start = block * BLOCK
        data = self._read(min(BLOCK, self._end - start), start)
        if digest_of(data) != self._digest(block):
            self._noted(start)
            raise OSError(errno.EIO, "")
        with self._lock:
            self._recent[block] = data
            while len(self._recent) > KEPT:
                self._recent.popitem(last=False)
        return data

    def _read(self, length: int, start: int) -> bytes:
        handle = getattr(self._mine, "handle", None)
        try:
            if handle is None:
                handle = self._mine.handle = self._source.connect()
            return bytes(handle.pread(length, start))
        except nbd.Error as error:
            if handle is None or handle.aio_is_dead() or handle.aio_is_closed():
                self._mine.handle = None
            else:
                self._noted(start)  # QEMU cannot read it: the image itself is broken there
            raise OSError(errno.EIO, "") from error


def trusted_list(path: Path, root: str) -> bytes:
    """A list of digests whose own digest is `root`. Raises Problem."""
    try:
        listed = digests.read(str(path))
    except OSError as error:
        raise Problem("damaged", f"{path} cannot be read: {error.strerror}.") from None
    if hashlib.sha256(listed).hexdigest() != root:
        raise Problem("damaged", f"{path} is not what was written.")
    return listed


def serve(path: Path, name: str, checked: Checked) -> Server:
    """Begin to serve the disk at a unix socket, as the export `name`."""
    server = Server(path, ServedExport(name, checked.size, checked.read, checked.zeros))
    server.start()
    return server

"""A virtual disk's list of digests (lib/store_format/digests.py): a file in the store, worked on
where it lies or from afar."""

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from labpanel.lib.store_format.digests import DIGEST_BYTES, LIST_AT, LONGEST_LINE, MOST_BYTES, ZERO
from labpanel.onhost.runtime import plain
from labpanel.onhost.runtime.wire import Problem

PAGE = 4096  # digests read at once: the list of 1 GiB of disk in 64 KiB


def read(path: str) -> bytes:
    """The list in a file of any format."""
    with plain.reading(path) as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, "it is longer than a list can be", path)
        file.readline(LONGEST_LINE)
        return file.read(MOST_BYTES)


class Digests:
    """The list of a disk of `blocks` blocks behind a writable NBD export of its file.

    Pages are fetched when one of their blocks is first asked for, and written back by `flush` only
    if one was changed. `fresh`: the list is all zeros, so nothing needs to be fetched. `root`: what
    SHA-256 of the list must be at first; then every page is held against what was read to see that,
    since others may write to the store meanwhile. Any thread may ask, each about blocks of its own.
    """

    def __init__(
        self, connect: Callable[[], Any], blocks: int, *, fresh: bool, root: str = ""
    ) -> None:
        self._handle = connect()
        self._lock = threading.Lock()
        self._pages: dict[int, bytearray] = {}
        self._dirty: set[int] = set()
        self._blocks = blocks
        self._fresh = fresh
        if self._handle.get_size() < LIST_AT + blocks * DIGEST_BYTES:
            raise Problem("digests", "The list of digests does not fit the size of the disk.")
        self._proven: dict[int, bytes] = {}
        self._proven = self._first_sums(root) if root and not fresh else {}

    def _first_sums(self, root: str) -> dict[int, bytes]:
        """SHA-256 of every page, of a list that was read as a whole and is the one of `root`."""
        whole, sums = hashlib.sha256(), {}
        for page in range(-(-self._blocks // PAGE)):
            found = self._read(page)
            whole.update(found)
            sums[page] = hashlib.sha256(found).digest()
        if whole.hexdigest() != root:
            raise Problem("digests", "The list of digests is not the one of the parent.")
        return sums

    def get(self, block: int) -> bytes:
        page, at = self._place(block)
        return bytes(self._page(page)[at : at + DIGEST_BYTES])

    def set(self, block: int, digest: bytes) -> None:
        page, at = self._place(block)
        self._page(page)[at : at + DIGEST_BYTES] = digest
        self._dirty.add(page)

    def held(self, first: int, after: int) -> Iterator[int]:
        """The blocks of [first, after) that are not ZERO in the list."""
        for start in range(first // PAGE * PAGE, after, PAGE):
            one, other = max(first, start), min(after, start + PAGE)
            part = self._page(start // PAGE)
            if part[(one - start) * DIGEST_BYTES : (other - start) * DIGEST_BYTES].strip(b"\0"):
                yield from (block for block in range(one, other) if self.get(block) != ZERO)

    def flush(self) -> None:
        """Write back what was changed, and end the connection."""
        for page in sorted(self._dirty):
            self._handle.pwrite(self._pages[page], self._offset(page))
        if self._dirty:
            self._handle.flush()
        self._handle.shutdown()

    def root(self) -> str:
        """SHA-256 of the whole list as it is now, before `flush`; empty if some of it was never
        looked at."""
        pages = range(-(-self._blocks // PAGE))
        if not self._fresh and not self._proven and len(self._pages) < len(pages):
            return ""
        digest = hashlib.sha256()
        for page in pages:
            digest.update(self._pages.get(page) or self._read(page))
        return digest.hexdigest()

    def _length(self, page: int) -> int:
        return min(PAGE, self._blocks - page * PAGE) * DIGEST_BYTES

    def _place(self, block: int) -> tuple[int, int]:
        return block // PAGE, block % PAGE * DIGEST_BYTES

    def _offset(self, page: int) -> int:
        return LIST_AT + page * PAGE * DIGEST_BYTES

    def _page(self, page: int) -> bytearray:
        found = self._pages.get(page)
        if found is not None:
            return found
        with self._lock:
            if page not in self._pages:
                self._pages[page] = self._read(page)
            return self._pages[page]

    def _read(self, page: int) -> bytearray:
        length = self._length(page)
        if self._fresh:
            return bytearray(length)
        found = bytearray(self._handle.pread(length, self._offset(page)))
        if page in self._proven and hashlib.sha256(found).digest() != self._proven[page]:
            raise Problem("digests", "The list of digests was changed by others meanwhile.")
        return found

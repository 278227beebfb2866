"""A virtual disk's list of digests: a file in the store, worked on where it lies or from afar.

A block is BLOCK bytes of disk (the last one may be shorter). The file begins with one line of JSON,
padded with blanks so that the list starts at byte LIST_AT; then DIGEST_BYTES for each block of the
whole content that a guest sees, ZERO for zeros. Lists written before format 2 start right behind
their line, so a reader takes the line and then the rest.
"""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

from labpanel.adapters.scripts.wire import Problem

BLOCK = 256 * 1024
DIGEST_BYTES = 16
ZERO = bytes(DIGEST_BYTES)
LIST_AT = 4096
PAGE = 4096  # digests read at once: the list of 1 GiB of disk in 64 KiB


def header(virtual_bytes: int) -> bytes:
    """The first LIST_AT bytes of the file."""
    line = json.dumps(
        {
            "format": "labpanel digests 2",
            "digest": "the first 16 bytes of SHA-256, zeros for a block of zeros",
            "block_bytes": BLOCK,
            "virtual_bytes": virtual_bytes,
        }
    )
    return line.encode().ljust(LIST_AT - 1) + b"\n"


def read(path: str) -> bytes:
    """The list in a file of any format."""
    with open(path, "rb") as file:  # noqa: PTH123 - the header's line, then the list
        file.readline()
        return file.read()


class Digests:
    """The list of a disk of `blocks` blocks behind a writable NBD export of its file.

    Pages are fetched when one of their blocks is first asked for, and written back by `flush` only
    if one was changed: a huge disk in which nothing changed costs nothing. `fresh`: the list is all
    zeros, so nothing needs to be fetched. Any thread may ask, each about blocks of its own.
    """

    def __init__(self, connect: Callable[[], Any], blocks: int, *, fresh: bool) -> None:
        self._handle = connect()
        self._lock = threading.Lock()
        self._pages: dict[int, bytearray] = {}
        self._dirty: set[int] = set()
        self._blocks = blocks
        self._fresh = fresh
        if self._handle.get_size() < LIST_AT + blocks * DIGEST_BYTES:
            raise Problem("digests", "The list of digests does not fit the size of the disk.")

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
                length = min(PAGE, self._blocks - page * PAGE) * DIGEST_BYTES
                self._pages[page] = (
                    bytearray(length)
                    if self._fresh
                    else self._handle.pread(length, self._offset(page))
                )
            return self._pages[page]

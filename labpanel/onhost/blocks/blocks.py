"""What those share that work on virtual disks block by block. Needs python3-libnbd.

A block is BLOCK bytes (the last one of a disk may be shorter). Its digest is the beginning of its
SHA-256, for which CPUs have instructions (1.7 GB/s a core against BLAKE2b's 0.7); ZERO stands for
a block of zeros. `Ranges` are blocks: sorted, apart, each [first, after) in block numbers.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import nbd

from labpanel.lib.store_format.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.onhost.runtime.wire import Problem

LONGER = 64 * 1024  # a target that is compressed ends with a whole cluster
MAP_STEP = 1 << 30  # libnbd 1.14 has 32-bit block status: ask below 4 GiB
ALLOCATION = "base:allocation"
_STATE_ZERO = 2  # NBD_STATE_ZERO: reads as zeros (decide on it, never on HOLE)
_STATE_DIRTY = 1  # NBD_STATE_DIRTY of a qemu:dirty-bitmap context
_nothing = bytearray(BLOCK)  # compares by memcmp with any buffer, which bytes does not

Ranges = list[tuple[int, int]]


class Side:
    """One end of a copy: where to connect."""

    def __init__(self, socket: str, export: str) -> None:
        self.socket = socket
        self.export = export

    def connect(self, *contexts: str) -> Any:
        """A connection of its own, with the maps named by `contexts` if the server has them."""
        handle = nbd.NBD()
        handle.set_export_name(self.export)
        handle.set_pread_initialize(False)  # an answer that is used was filled by the server
        for context in contexts:
            handle.add_meta_context(context)
        # QEMU answers a failing sparse read by hanging up (7.2 nbd/server.c: nbd_trip disconnects
        # after nbd_co_send_sparse_read); to a plain read it says that it failed.
        handle.set_request_structured_replies(bool(contexts))
        handle.connect_unix(self.socket)
        return handle


def digest_of(data: bytes | bytearray | memoryview) -> bytes:
    """The digest of one block."""
    if (_nothing if len(data) == BLOCK else _nothing[: len(data)]) == data:
        return ZERO
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]


def number_of_blocks(size: int) -> int:
    return -(-size // BLOCK)


def digest_at(listed: bytes, block: int) -> bytes:
    """The digest of one block in a list."""
    return listed[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES]


def fitting(listed: bytes, size: int) -> bytes:
    """A list of digests that has as many as a disk of `size` bytes has blocks, or Problem."""
    if len(listed) != number_of_blocks(size) * DIGEST_BYTES:
        raise Problem("digests", "The list of digests does not fit the size of the disk.")
    return listed


def beyond(size: int, target_bytes: int) -> int:
    """By how much an export of `target_bytes` is longer than a disk of `size` bytes: its size is
    rounded up to whole sectors or clusters. Raises Problem if it is not that."""
    longer = target_bytes - size
    if not 0 <= longer < LONGER:
        raise Problem("size", f"{size} bytes do not fit {target_bytes} bytes.")
    return longer


def everything(size: int) -> Ranges:
    """All blocks of a disk of `size` bytes."""
    return [(0, number_of_blocks(size))] if size else []


def touched(spans: Iterable[Sequence[int]], size: int) -> Ranges:
    """The blocks of a disk of `size` bytes that spans [first byte, byte after] lie in."""
    blocks = number_of_blocks(size)
    return merged((first // BLOCK, min(-(-after // BLOCK), blocks)) for first, after in spans)


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Any ranges, sorted and joined where they meet."""
    found: Ranges = []
    for first, after in sorted(ranges):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], after))
        elif first < after:
            found.append((first, after))
    return found


def common(one: Ranges, other: Ranges) -> Ranges:
    """The blocks in both."""
    found: Ranges = []
    left, right = iter(one), iter(other)
    a, b = next(left, None), next(right, None)
    while a and b:
        first, after = max(a[0], b[0]), min(a[1], b[1])
        if first < after:
            found.append((first, after))
        if a[1] < b[1]:
            a = next(left, None)
        else:
            b = next(right, None)
    return found


def without(one: Ranges, other: Ranges) -> Ranges:
    """The blocks of `one` that are not in `other`."""
    found: Ranges = []
    for first, after in one:
        at = first
        for start, end in common([(first, after)], other):
            if at < start:
                found.append((at, start))
            at = end
        if at < after:
            found.append((at, after))
    return found


def bytes_in(ranges: Ranges, size: int) -> int:
    """How many bytes of a disk of `size` bytes these blocks hold."""
    return sum(min(after * BLOCK, size) - first * BLOCK for first, after in ranges)


def ranges(blocks: Iterable[int]) -> list[list[int]]:
    """Block numbers as [first byte, byte after the last]."""
    found = merged((block, block + 1) for block in blocks)
    return [[first * BLOCK, after * BLOCK] for first, after in found]


def zero_ranges(handle: Any, size: int, within: Ranges) -> Ranges:
    """The blocks of `within` that the allocation map says read as zeros in full."""
    if not handle.can_meta_context(ALLOCATION):
        return []
    found = []
    for first, after in _asked(within, size):
        for start, end in _spans(handle, ALLOCATION, first, after, _STATE_ZERO):
            last = end // BLOCK if end < size else number_of_blocks(size)
            found.append((-(-start // BLOCK), last))
    return common(merged(found), within)


def dirty_ranges(handle: Any, size: int, context: str) -> Ranges | None:
    """The blocks that a dirty bitmap flags, or None if the export does not show it."""
    if not context or not handle.can_meta_context(context):
        return None
    return touched(_spans(handle, context, 0, size, _STATE_DIRTY), size)


def _asked(within: Ranges, size: int) -> Iterator[tuple[int, int]]:
    """Few stretches of bytes to ask a map about: what lies near is asked for at once."""
    near: list[tuple[int, int]] = []
    for first, after in within:
        start, end = first * BLOCK, min(after * BLOCK, size)
        if near and start - near[-1][1] < MAP_STEP:
            near[-1] = (near[-1][0], end)
        else:
            near.append((start, end))
    return iter(near)


def _spans(
    handle: Any, context: str, first: int, after: int, flag: int
) -> Iterator[tuple[int, int]]:
    """Stretches of bytes whose state has the flag, joined where they meet."""
    start = -1
    for at, flags in _extents(handle, context, first, after):
        if flags & flag:
            start = at if start < 0 else start
        elif start >= 0:
            yield start, at
            start = -1
    if start >= 0:
        yield start, after


def _extents(handle: Any, context: str, first: int, after: int) -> Iterator[tuple[int, int]]:
    """(first byte, flags) of each extent of a map, in order."""
    at = first
    while at < after:
        found: list[tuple[int, int]] = []
        handle.block_status(min(MAP_STEP, after - at), at, _collector(context, found))
        before = at
        for length, flags in found:
            if at < after:
                yield at, flags
            at += length
        if at <= before:
            raise Problem("map", "The allocation map of the disk does not advance.")


def _collector(context: str, found: list[tuple[int, int]]) -> Callable[..., int]:
    def extents(name: str, _: int, entries: list[int], __: Any) -> int:
        if name == context:
            found.extend(zip(entries[::2], entries[1::2]))
        return 0

    return extents

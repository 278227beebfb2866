"""Copies or checks one virtual disk between NBD sockets, block by block with digests.

Runs where the data is: on the source host of a backup, on the store's machine of a verification
or a restore. Needs the distribution's python3-libnbd. libnbd and hashlib work outside of Python's
lock, so a few threads, each with connections of its own, keep both sides and all cores busy.

A block is BLOCK bytes (the last one may be shorter). Its digest is the beginning of its SHA-256,
for which CPUs have instructions (1.7 GB/s a core against BLAKE2b's 0.7); ZERO stands for a block
of zeros, which is neither sent nor, where the allocation map says so, read.
"""

import base64
import errno
import hashlib
import os
import queue
import threading
import time
import zlib
from typing import Any

import nbd

from labpanel.adapters.scripts.wire import Problem, leave, say, serve

BLOCK = 256 * 1024
DIGEST_BYTES = 16
ZERO = bytes(DIGEST_BYTES)
THREADS = 8
STALLED_SECONDS = 60
LONGER = 64 * 1024  # a target that is compressed ends with a whole cluster
MAP_STEP = 1 << 30  # libnbd 1.14 has 32-bit block status: ask below 4 GiB
REPORT_SECONDS = 0.5
_STATE_ZERO = 2  # NBD_STATE_ZERO: reads as zeros (decide on it, never on HOLE)
_nothing = bytes(BLOCK)


class Side:
    """One end of a copy: where to connect."""

    def __init__(self, socket: str, export: str) -> None:
        self.socket = socket
        self.export = export

    def connect(self, *, with_map: bool = False) -> Any:
        handle = nbd.NBD()
        handle.set_export_name(self.export)
        if with_map:
            handle.add_meta_context("base:allocation")
        handle.connect_unix(self.socket)
        return handle


class Copy:
    """What the threads share while one disk is worked on."""

    def __init__(self, source: Side, target: Side | None, expected: bytes | None) -> None:
        self.source = source
        self.target = target
        self.expected = expected
        self.size = 0
        self.target_size = 0
        self.digests = bytearray()
        self.todo: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.failure: BaseException | None = None
        self.bad: list[int] = []
        self.lock = threading.Lock()
        self.read_bytes = 0
        self.written_bytes = 0
        self.skipped_bytes = 0

    @property
    def blocks(self) -> int:
        return -(-self.size // BLOCK)

    def length(self, block: int) -> int:
        return min(BLOCK, self.size - block * BLOCK)


def zero_blocks(handle: Any, size: int) -> set[int]:
    """The blocks that the allocation map says read as zeros in full."""
    if not handle.can_meta_context("base:allocation"):
        return set()
    found: set[int] = set()
    state = {"at": 0, "from": -1}

    def ended(at: int) -> None:
        if state["from"] >= 0:
            first = -(-state["from"] // BLOCK)
            last = at // BLOCK if at < size else -(-at // BLOCK)
            found.update(range(first, last))
        state["from"] = -1

    def extents(_: str, offset: int, entries: list[int], __: Any) -> int:
        at = offset
        for length, flags in zip(entries[::2], entries[1::2], strict=True):
            if not flags & _STATE_ZERO:
                ended(at)
            elif state["from"] < 0:
                state["from"] = at
            at = min(at + length, size)
        state["at"] = at
        return 0

    while state["at"] < size:
        before = state["at"]
        handle.block_status(min(MAP_STEP, size - before), before, extents)
        if state["at"] <= before:
            raise Problem("map", "The allocation map of the disk does not advance.")
    ended(size)
    return found


def work(copy: Copy) -> None:
    """One thread: take blocks until none is left or another thread failed."""
    try:
        source = copy.source.connect()
        target = copy.target.connect() if copy.target else None
        while copy.failure is None:
            try:
                block = copy.todo.get_nowait()
            except queue.Empty:
                break
            one_block(copy, block, source, target)
        if target is not None and copy.failure is None:
            target.flush()
            target.shutdown()
        source.shutdown()
    except BaseException as error:  # noqa: BLE001 - handed to the main thread, which reports it
        copy.failure = copy.failure or error


def one_block(copy: Copy, block: int, source: Any, target: Any) -> None:
    length = copy.length(block)
    try:
        data = source.pread(length, block * BLOCK)
    except nbd.Error as error:
        gone = source.aio_is_dead() or source.aio_is_closed()
        if copy.expected is None or copy.target is not None or gone:
            raise Problem("read", f"Reading at byte {block * BLOCK} failed: {error}") from error
        bad_block(copy, block)  # a check goes on: it is there to find them all
        return
    digest = digest_of(data)
    copy.digests[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES] = digest
    if copy.expected is not None and digest != expected_of(copy, block):
        bad_block(copy, block)
    written = 0
    if target is not None and digest != ZERO:
        if length < BLOCK:
            data = bytes(data) + bytes(copy.target_size - copy.size)
        try:
            target.pwrite(data, block * BLOCK)
        except nbd.Error as error:
            code = "full" if error.errnum == errno.ENOSPC else "write"
            raise Problem(code, f"Writing at byte {block * BLOCK} failed: {error}") from error
        written = length
    with copy.lock:
        copy.read_bytes += length
        copy.written_bytes += written


def digest_of(data: bytes) -> bytes:
    if data == _nothing or (len(data) < BLOCK and not any(data)):
        return ZERO
    return hashlib.sha256(data).digest()[:DIGEST_BYTES]


def expected_of(copy: Copy, block: int) -> bytes:
    assert copy.expected is not None
    return copy.expected[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES]


def bad_block(copy: Copy, block: int) -> None:
    """A restore stops at the first; a check collects them."""
    with copy.lock:
        copy.bad.append(block)
    if copy.target is not None:
        raise Problem("digest", f"The block at byte {block * BLOCK} is not what was backed up.")


def prepare(copy: Copy) -> None:
    """Sizes, the list of blocks to read, and the zero blocks settled without reading."""
    handle = copy.source.connect(with_map=True)
    copy.size = handle.get_size()
    if copy.target is not None:
        other = copy.target.connect()
        copy.target_size = other.get_size()
        if not copy.size <= copy.target_size < copy.size + LONGER:
            raise Problem("size", f"{copy.size} bytes do not fit {copy.target_size} bytes.")
        other.shutdown()
    if copy.expected is not None and len(copy.expected) != copy.blocks * DIGEST_BYTES:
        raise Problem("digests", "The list of digests does not fit the size of the disk.")
    copy.digests = bytearray(copy.blocks * DIGEST_BYTES)
    zeros = zero_blocks(handle, copy.size)
    handle.shutdown()
    for block in range(copy.blocks):
        if block not in zeros:
            copy.todo.put(block)
            continue
        copy.skipped_bytes += copy.length(block)
        if copy.expected is not None and expected_of(copy, block) != ZERO:
            bad_block(copy, block)


def report(copy: Copy, disk: str, watch: str, began: float) -> int:
    """Say how far it is; the bytes dealt with so far."""
    done = copy.read_bytes + copy.skipped_bytes
    event: dict[str, Any] = {
        "event": "progress",
        "disk": disk,
        "done_bytes": done,
        "total_bytes": copy.size,
        "read_bytes": copy.read_bytes,
        "written_bytes": copy.written_bytes,
        "seconds": time.monotonic() - began,
    }
    if watch:
        status = os.statvfs(watch)
        event["watched_bytes"] = status.f_bavail * status.f_frsize
    say(event)
    return done


def move(copy: Copy, disk: str, watch: str) -> float:
    """Run the threads to the end, reporting; the seconds it took."""
    began = time.monotonic()
    prepare(copy)
    threads = [threading.Thread(target=work, args=(copy,), daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    moved_at, before, told_at = time.monotonic(), -1, 0.0
    while any(thread.is_alive() for thread in threads):
        threads[0].join(0.05)
        time.sleep(0 if threads[0].is_alive() else 0.05)
        now = time.monotonic()
        if now - told_at < REPORT_SECONDS:
            continue
        told_at, done = now, report(copy, disk, watch, began)
        if done != before:
            moved_at, before = now, done
        elif now - moved_at > STALLED_SECONDS:
            # The threads hang in system calls that cannot be broken: say so and end.
            say(
                {
                    "error": {
                        "code": "stalled",
                        "sentence": f"Nothing moved for {STALLED_SECONDS} s.",
                    }
                }
            )
            leave(3)
    if copy.failure is not None:
        raise copy.failure
    report(copy, disk, watch, began)
    return time.monotonic() - began


def ranges(blocks: list[int]) -> list[list[int]]:
    """Block numbers as [first byte, byte after the last]."""
    found: list[list[int]] = []
    for block in sorted(blocks):
        if found and found[-1][1] == block * BLOCK:
            found[-1][1] += BLOCK
        else:
            found.append([block * BLOCK, (block + 1) * BLOCK])
    return found


def one_disk(
    disk: str,
    source: list[str],
    target: list[str] | None = None,
    digests: str = "",
    watch: str = "",
    *,
    send_digests: bool = False,
) -> dict[str, Any]:
    """Copy, check or restore one disk; `source` and `target` are [socket, export], `digests` the
    path of a list to hold the content against, `watch` a folder whose free bytes to report."""
    expected = None
    if digests:
        with open(digests, "rb") as file:  # noqa: PTH123 - the header's line, then the list
            file.readline()
            expected = file.read()
    copy = Copy(Side(*source), Side(*target) if target else None, expected)
    try:
        seconds = move(copy, disk, watch)
    except nbd.Error as error:
        raise Problem("nbd", f"The connection to the disk broke: {error}") from error
    result: dict[str, Any] = {
        "disk": disk,
        "virtual_bytes": copy.size,
        "read_bytes": copy.read_bytes,
        "written_bytes": copy.written_bytes,
        "seconds": seconds,
        "bad": ranges(copy.bad),
        "root": hashlib.sha256(copy.digests).hexdigest(),
    }
    if send_digests:
        packed = zlib.compress(bytes(copy.digests), 1)
        result["digests"] = base64.b64encode(packed).decode()
    return result


def main() -> None:
    serve({"ready": lambda: True, "disk": one_disk})

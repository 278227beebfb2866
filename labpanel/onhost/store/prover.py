"""Reads what lies in a store and says what is not as it was written. Runs on the store's machine.

Level 1 reads files and holds them against their digests; level 2 reads a disk's content as a guest
would see it, through the chain of images behind a read-only NBD export, against its list. Nothing
is ever written. Reading stays below a speed if one is given. Needs python3-libnbd.
"""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbd

from labpanel.lib.store_format.content import ContentRead
from labpanel.lib.store_format.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.lib.store_format.names import MANIFEST
from labpanel.lib.store_format.spelling import Json
from labpanel.onhost.blocks import digests as lists
from labpanel.onhost.blocks.block_worker import BlockWorker
from labpanel.onhost.blocks.blocks import (
    ALLOCATION,
    Ranges,
    Side,
    bytes_in,
    digest_at,
    digest_of,
    everything,
    fitting,
    number_of_blocks,
    touched,
    without,
    zero_ranges,
)
from labpanel.onhost.blocks.connection import IoFailed, NbdConnection, connected
from labpanel.onhost.blocks.worker_pool import REPORT_SECONDS, Cap, Tally, WorkerPool
from labpanel.onhost.runtime import plain
from labpanel.onhost.runtime.wire import Problem, say, serve
from labpanel.onhost.store import manifests

RUN = 4  # blocks read at once
CHUNK = 1 << 20
GONE, CHANGED = "is gone", "is not what was written"


def manifest(store: str, vm_uuid: str, key: str) -> Json:
    """`{"manifest": what it says or null, "wrong": the end of a sentence or empty}`. No word of one
    that is wrong can be trusted. Format 1 has no seal; since every byte of a manifest follows
    from what it says, blanks that changed show as well."""
    path = manifests.home(store, vm_uuid, key) / MANIFEST
    found, wrong = manifests.read(path)
    try:
        if found is not None and found.written() != manifests.raw(path):
            found, wrong = None, CHANGED
    except OSError as error:
        found, wrong = None, _unread(error)
    said = found.as_json() if found else None
    return {"manifest": said, "wrong": wrong.removeprefix(f"{path.name} ")}


def files(
    store: str,
    vm_uuid: str,
    key: str,
    hashes: dict[str, str],
    bytes_per_second: int | None = None,
) -> dict[str, str]:
    """Level 1: name → what is wrong with that file, of those with something wrong."""
    place = manifests.home(store, vm_uuid, key)
    wrong = {}
    for name, expected in hashes.items():
        path = place / manifests.file_name(name)
        try:
            found = _hashed(path, bytes_per_second)
        except FileNotFoundError:
            wrong[name] = GONE
        except OSError as error:
            wrong[name] = _unread(error)
        else:
            if found != expected:
                wrong[name] = CHANGED
    return wrong


def _unread(error: OSError) -> str:
    """The words of UNREAD (backups/rules/faults.py)."""
    return f"cannot be read ({error.strerror})"


def _hashed(path: Path, bytes_per_second: int | None) -> str:
    digest, told_at = hashlib.sha256(), 0.0
    with plain.reading(path) as file:
        total = os.fstat(file.fileno()).st_size
        tally = Tally(total)
        cap = Cap(bytes_per_second, tally)
        while chunk := file.read(CHUNK):
            cap.take(len(chunk))
            digest.update(chunk)
            tally.add(len(chunk))
            if time.monotonic() - told_at >= REPORT_SECONDS:
                told_at = time.monotonic()
                event = {"event": "progress", "disk": path.name}
                say({**event, "done_bytes": tally.done, "total_bytes": total})
    return digest.hexdigest()


class ProofState:
    """What the threads share while one disk is read. `expected` is its list, or empty."""

    def __init__(self, source: Side, expected: bytes, within: list[list[int]] | None) -> None:
        self.source, self.expected = source, expected
        handle = source.connect(ALLOCATION)
        self.size: int = handle.get_size()
        blocks = number_of_blocks(self.size)
        if expected:
            fitting(expected, self.size)
        self.todo = everything(self.size) if within is None else touched(within, self.size)
        self.zeros = _zeros(handle, self.size, self.todo)
        handle.shutdown()
        self.found = bytearray(blocks * DIGEST_BYTES)
        self.tally = Tally(bytes_in(self.todo, self.size))
        self.bad: list[int] = []
        self.unreadable: list[int] = []
        self.tally.add(bytes_in(self.zeros, self.size))
        for first, after in self.zeros:
            for block in range(first, after):
                self.compare(block, ZERO)

    def compare(self, block: int, digest: bytes) -> None:
        at = slice(block * DIGEST_BYTES, (block + 1) * DIGEST_BYTES)
        self.found[at] = digest
        if self.expected and digest_at(self.expected, block) != digest:
            self.bad.append(block)


def _zeros(handle: Any, size: int, todo: Ranges) -> Ranges:
    """The map saves reading; an image whose own tables are rotten may have none to give."""
    try:
        return zero_ranges(handle, size, todo)
    except nbd.Error:
        if handle.aio_is_dead() or handle.aio_is_closed():
            raise
        return []


class ProofWorker(BlockWorker):
    """One thread of a reading. What cannot be read is bad, and reading goes on: it is there to find
    it all."""

    def __init__(self, reading: ProofState, cap: Cap) -> None:
        super().__init__(reading.size, NbdConnection(reading.source))
        self._reading, self._cap = reading, cap

    def do(self, first: int, after: int) -> None:
        self._cap.take(self.length(first, after))
        super().do(first, after)

    def block(self, block: int, data: memoryview) -> None:
        self._reading.compare(block, digest_of(data))
        self._reading.tally.add(len(data), read=len(data))

    def unread(self, first: int, after: int, failed: IoFailed) -> None:
        if failed.gone:
            raise Problem("nbd", f"The connection to the disk was lost: {failed}") from failed
        if after - first > 1:
            self.one_by_one(first, after)
            return
        self._reading.bad.append(first)
        self._reading.unreadable.append(first)
        self._reading.tally.add(self.length(first, after))


def read_through(
    disk: str,
    source: list[str],
    expected: bytes,
    within: list[list[int]] | None = None,
    bytes_per_second: int | None = None,
) -> ProofState:
    """Read what is asked for, to the end; `source` is [socket, export]."""
    with connected():
        reading = ProofState(Side(*source), expected, within)
        cap = Cap(bytes_per_second, reading.tally)
        todo = without(reading.todo, reading.zeros)
        WorkerPool(disk, reading.tally).work(todo, lambda: ProofWorker(reading, cap), RUN)
    return reading


def content(
    disk: str,
    source: list[str],
    digests: str = "",
    within: list[list[int]] | None = None,
    bytes_per_second: int | None = None,
) -> Json:
    """The fields of what `read_content` gives."""
    return asdict(read_content(disk, source, digests, within, bytes_per_second))


def read_content(
    disk: str,
    source: list[str],
    digests: str = "",
    within: list[list[int]] | None = None,
    bytes_per_second: int | None = None,
) -> ContentRead:
    """Level 2: read a disk, or the blocks of it that `within` ([first byte, byte after]) touches,
    and hold it against the list in the file `digests`; without one only `root` is computed."""
    expected = lists.read(digests) if digests else b""
    reading = read_through(disk, source, expected, within, bytes_per_second)
    spans = sorted((block, block + 1) for block in reading.bad)
    return ContentRead(
        virtual_bytes=reading.size,
        read_bytes=reading.tally.read,
        seconds=reading.tally.seconds,
        bad=_spans(spans, reading.size),
        unreadable=_spans(sorted((n, n + 1) for n in reading.unreadable), reading.size),
        root=hashlib.sha256(reading.found).hexdigest(),
    )


def _spans(blocks: Ranges, size: int) -> list[list[int]]:
    found: list[list[int]] = []
    for first, after in blocks:
        if found and found[-1][1] >= first * BLOCK:
            found[-1][1] = min(after * BLOCK, size)
        else:
            found.append([first * BLOCK, min(after * BLOCK, size)])
    return found


def holding(
    store: str, vm_uuid: str, target: str, wanted: dict[str, str], leave_out: list[str]
) -> list[str]:
    """Keys of generations whose lists have some of the `wanted` (block → digest, hexadecimal) of a
    disk, as few as do, newest first. That a list has it is no proof that the image still does."""
    left, found = dict(wanted), []
    folders = manifests.folders(manifests.vm_folder(store, vm_uuid))
    for path in reversed([place / MANIFEST for place in folders]):
        if left and path.parent.name not in leave_out:
            listed = _trusted_list(path, target)
            has = [block for block in left if digest_at(listed, int(block)).hex() == left[block]]
            if has:
                found.append(path.parent.name)
                left = {block: left[block] for block in left.keys() - set(has)}
    return found


def _trusted_list(path: Path, target: str) -> bytes:
    """A disk's list of digests, or nothing if there is none that can be trusted."""
    found, _ = manifests.read(path)
    disk = found.disk(target) if found else None
    if disk is None:
        return b""
    try:
        listed = lists.read(str(path.parent / disk.list_file))
    except OSError:
        return b""
    return listed if hashlib.sha256(listed).hexdigest() == disk.root else b""


VERBS: dict[str, Callable[..., Any]] = {
    "ready": lambda: True,
    "manifest": manifest,
    "files": files,
    "content": content,
    "holding": holding,
}


def main() -> None:
    serve(VERBS)

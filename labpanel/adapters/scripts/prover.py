"""Reads what lies in a store and says what is not as it was written. Runs on the store's machine.

Level 1 reads files and holds them against their digests; level 2 reads a disk's content as a guest
would see it, through the chain of images behind a read-only NBD export, against its list. Nothing
is ever written. Reading stays below a speed if one is given. Needs python3-libnbd.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbd

from labpanel.adapters.scripts import digests as lists
from labpanel.adapters.scripts import manifests
from labpanel.adapters.scripts.blocks import (
    ALLOCATION,
    Ranges,
    Side,
    bytes_in,
    digest_of,
    everything,
    number_of_blocks,
    touched,
    without,
    zero_ranges,
)
from labpanel.adapters.scripts.crew import Crew, Tally
from labpanel.adapters.scripts.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.adapters.scripts.saver import Cap
from labpanel.adapters.scripts.wire import Problem, say, serve

RUN = 4  # blocks read at once
CHUNK = 1 << 20
REPORT_SECONDS = 0.5
GONE, CHANGED = "is gone", "is not what was written"


def manifest(store: str, vm_uuid: str, key: str) -> dict[str, Any]:
    """`{"manifest": what it says or null, "wrong": the end of a sentence or empty}`. No word of one
    that is wrong can be trusted. Format 1 has no seal; since every byte of a manifest follows
    from what it says, blanks that changed show as well."""
    path = manifests.home(store, vm_uuid, key) / manifests.MANIFEST
    found, wrong = manifests.read(path)
    if found is not None and manifests.written(found).encode() != path.read_bytes():
        found, wrong = None, CHANGED
    return {"manifest": found, "wrong": wrong.removeprefix(f"{path.name} ")}


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
    return f"cannot be read ({error.strerror})"


def _hashed(path: Path, bytes_per_second: int | None) -> str:
    digest, total = hashlib.sha256(), path.stat().st_size
    tally = Tally(total)
    cap, told_at = Cap(bytes_per_second, tally), 0.0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            cap.take(len(chunk))
            digest.update(chunk)
            tally.add(len(chunk))
            if time.monotonic() - told_at >= REPORT_SECONDS:
                told_at = time.monotonic()
                event = {"event": "progress", "disk": path.name}
                say({**event, "done_bytes": tally.done, "total_bytes": total})
    return digest.hexdigest()


class Reading:
    """What the threads share while one disk is read. `expected` is its list, or empty."""

    def __init__(self, source: Side, expected: bytes, within: list[list[int]] | None) -> None:
        self.source, self.expected = source, expected
        handle = source.connect(ALLOCATION)
        self.size: int = handle.get_size()
        blocks = number_of_blocks(self.size)
        if expected and len(expected) != blocks * DIGEST_BYTES:
            handle.shutdown()
            raise Problem("digests", "The list of digests does not fit the size of the disk.")
        self.todo = everything(self.size) if within is None else touched(within, self.size)
        self.zeros = _zeros(handle, self.size, self.todo)
        handle.shutdown()
        self.found = bytearray(blocks * DIGEST_BYTES)
        self.tally = Tally(bytes_in(self.todo, self.size))
        self.bad: list[int] = []
        self.tally.add(bytes_in(self.zeros, self.size))
        for first, after in self.zeros:
            for block in range(first, after):
                self.compare(block, ZERO)

    def compare(self, block: int, digest: bytes) -> None:
        at = slice(block * DIGEST_BYTES, (block + 1) * DIGEST_BYTES)
        self.found[at] = digest
        if self.expected and self.expected[at] != digest:
            self.bad.append(block)


def _zeros(handle: Any, size: int, todo: Ranges) -> Ranges:
    """The map saves reading; an image whose own tables are rotten may have none to give."""
    try:
        return zero_ranges(handle, size, todo)
    except nbd.Error:
        if handle.aio_is_dead() or handle.aio_is_closed():
            raise
        return []


class Desk:
    """One thread of a reading (see crew.Station)."""

    def __init__(self, reading: Reading, cap: Cap) -> None:
        self._reading, self._cap = reading, cap
        self._handle = reading.source.connect()

    def close(self) -> None:
        self._handle.shutdown()

    def do(self, first: int, after: int) -> None:
        start = first * BLOCK
        length = min(after * BLOCK, self._reading.size) - start
        self._cap.take(length)
        try:
            data = memoryview(self._handle.pread(length, start))
        except nbd.Error as error:
            self._one_by_one(first, after, error)
            return
        for block in range(first, after):
            piece = data[block * BLOCK - start : (block + 1) * BLOCK - start]
            self._reading.compare(block, digest_of(piece))
        self._reading.tally.add(length, read=length)

    def _one_by_one(self, first: int, after: int, error: nbd.Error) -> None:
        """What cannot be read is bad, and reading goes on: it is there to find it all."""
        if self._handle.aio_is_dead() or self._handle.aio_is_closed():
            raise Problem("nbd", f"The connection to the disk broke: {error}") from error
        if after - first > 1:
            for block in range(first, after):
                self.do(block, block + 1)
            return
        self._reading.bad.append(first)
        self._reading.tally.add(min(BLOCK, self._reading.size - first * BLOCK))


def read_through(
    disk: str,
    source: list[str],
    expected: bytes,
    within: list[list[int]] | None = None,
    bytes_per_second: int | None = None,
) -> Reading:
    """Read what is asked for, to the end; `source` is [socket, export]."""
    try:
        reading = Reading(Side(*source), expected, within)
        cap = Cap(bytes_per_second, reading.tally)
        todo = without(reading.todo, reading.zeros)
        Crew(disk, reading.tally).work(todo, lambda: Desk(reading, cap), RUN)
    except nbd.Error as error:
        raise Problem("nbd", f"The connection to the disk broke: {error}") from error
    return reading


def content(
    disk: str,
    source: list[str],
    digests: str = "",
    within: list[list[int]] | None = None,
    bytes_per_second: int | None = None,
) -> dict[str, Any]:
    """Level 2: read a disk, or the blocks of it that `within` ([first byte, byte after]) touches,
    and hold it against the list in the file `digests`; without one only `root` is computed."""
    expected = lists.read(digests) if digests else b""
    reading = read_through(disk, source, expected, within, bytes_per_second)
    spans = sorted((block, block + 1) for block in reading.bad)
    return {
        "virtual_bytes": reading.size,
        "read_bytes": reading.tally.read,
        "seconds": reading.tally.seconds,
        "bad": _spans(spans, reading.size),
        "root": hashlib.sha256(reading.found).hexdigest(),
    }


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
    folders = sorted(manifests.vm_folder(store, vm_uuid).glob(f"*/{manifests.MANIFEST}"))
    for path in reversed(folders):
        if left and path.parent.name not in leave_out:
            listed = _trusted_list(path, target)
            has = [block for block in left if _at(listed, int(block)) == left[block]]
            if has:
                found.append(path.parent.name)
                left = {block: left[block] for block in left.keys() - set(has)}
    return found


def _at(listed: bytes, block: int) -> str:
    return listed[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES].hex()


def _trusted_list(path: Path, target: str) -> bytes:
    """A disk's list of digests, or nothing if there is none that can be trusted."""
    found, _ = manifests.read(path)
    for disk in found["disks"] if found else []:
        if disk["target"] == target:
            try:
                listed = lists.read(str(path.parent / disk["digests"]["file"]))
            except OSError:
                return b""
            return listed if hashlib.sha256(listed).hexdigest() == disk["root"] else b""
    return b""


VERBS: dict[str, Callable[..., Any]] = {
    "ready": lambda: True,
    "manifest": manifest,
    "files": files,
    "content": content,
    "holding": holding,
}


def main() -> None:
    serve(VERBS)

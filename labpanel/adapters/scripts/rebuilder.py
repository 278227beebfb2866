"""Makes the image of one disk of one generation anew, on top of another parent or of none, and
proves images. Runs on the store's machine; needs python3-libnbd.

Which blocks the new image must hold follows from two lists of digests, the generation's own and
its new parent's; nothing else is read. Each block is held against the generation's own list before
it is written, and the whole content afterwards, through the new chain.
"""

import errno
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbd

from labpanel.adapters.scripts import digests as lists
from labpanel.adapters.scripts import exporter, filling, manifests, mover
from labpanel.adapters.scripts.blocks import (
    Ranges,
    Side,
    bytes_in,
    digest_of,
    merged,
    number_of_blocks,
)
from labpanel.adapters.scripts.crew import Crew, Tally
from labpanel.adapters.scripts.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.adapters.scripts.wire import Problem, run

RUN = 4  # blocks dealt with at once
PAGE = 4096  # digests compared at once


def list_of(folder: Path, manifest: dict[str, Any], target: str) -> bytes:
    """A disk's list of digests, held against the manifest: a digest that rotted proves nothing."""
    (disk,) = [disk for disk in manifest["disks"] if disk["target"] == target]
    key = manifest["generation"]
    path = folder / manifests.name(key) / manifests.file_name(disk["digests"]["file"])
    try:
        found = lists.read(str(path))
    except OSError as error:
        raise Problem("damaged", f"{path} cannot be read: {error.strerror}.") from None
    if hashlib.sha256(found).hexdigest() != disk["root"]:
        raise Problem("damaged", f"{path.name} of generation {key} is not what was written.")
    return found


def list_below(folder: Path, manifest: dict[str, Any], target: str, length: int) -> bytes:
    """The list of what an image is made on top of. One that rotted says nothing: then every block
    differs from it, also those of zeros."""
    try:
        return list_of(folder, manifest, target)
    except Problem:
        return b"\xff" * length


def differing(wanted: bytes, below: bytes) -> Ranges:
    """The blocks that an image with the list `wanted` must hold itself on top of one with the list
    `below`. A shorter parent reads as zeros behind its end; its short last block has the digest of
    fewer bytes, so it differs, as it must."""
    below = below[: len(wanted)].ljust(len(wanted), b"\0")
    found: list[tuple[int, int]] = []
    for page in range(0, len(wanted), PAGE * DIGEST_BYTES):
        end = min(page + PAGE * DIGEST_BYTES, len(wanted))
        if wanted[page:end] == below[page:end]:
            continue
        for at in range(page, end, DIGEST_BYTES):
            if wanted[at : at + DIGEST_BYTES] != below[at : at + DIGEST_BYTES]:
                found.append((at // DIGEST_BYTES, at // DIGEST_BYTES + 1))
    return merged(found)


def bytes_to_hold(wanted: bytes, below: bytes, size: int) -> int:
    """How much of a disk of `size` bytes that is, uncompressed."""
    return bytes_in(differing(wanted, below), size)


class Rebuild:
    """What the threads share. `views` are read in turn until one holds what is wanted."""

    def __init__(self, views: Sequence[Side], target: Side, wanted: bytes, size: int) -> None:
        self.views, self.target, self.wanted, self.size = views, target, wanted, size
        self.whole = -(-size // filling.CLUSTER) * filling.CLUSTER
        if len(wanted) != number_of_blocks(size) * DIGEST_BYTES:
            raise Problem("digests", "The list of digests does not fit the size of the disk.")

    def digest(self, block: int) -> bytes:
        return self.wanted[block * DIGEST_BYTES : (block + 1) * DIGEST_BYTES]


class Desk:
    """One thread of a rebuild (see crew.Station)."""

    def __init__(self, rebuild: Rebuild, tally: Tally) -> None:
        self._rebuild, self._tally = rebuild, tally
        self._views = [view.connect() for view in rebuild.views]
        self._target = rebuild.target.connect()

    def close(self) -> None:
        self._target.flush()
        self._target.shutdown()
        for view in self._views:
            view.shutdown()

    def do(self, first: int, after: int) -> None:
        for block in range(first, after):
            self._one(block)

    def _one(self, block: int) -> None:
        start, size = block * BLOCK, self._rebuild.size
        end = min(start + BLOCK, self._rebuild.whole)
        length = min(start + BLOCK, size) - start
        try:
            if self._rebuild.digest(block) == ZERO:
                # Written, not left out: what the parent has there must not show through.
                self._target.zero(end - start, start, nbd.CMD_FLAG_NO_HOLE)
            else:
                data = self._read(block, start, length)
                self._target.pwrite(data.ljust(end - start, b"\0"), start)
        except nbd.Error as error:
            code = "full" if error.errnum == errno.ENOSPC else "write"
            raise Problem(code, f"Writing at byte {start} failed: {error}") from error
        self._tally.add(length, read=length, written=length)

    def _read(self, block: int, start: int, length: int) -> bytes:
        for view in self._views:
            try:
                data = bytes(view.pread(length, start))
            except nbd.Error:
                continue  # the next one may have it
            if digest_of(data) == self._rebuild.digest(block):
                return data
        raise Problem("damaged", f"the block at byte {start} is not what was backed up")


def build(
    disk: str,
    image: Path,
    backing: str,
    size: int,
    views: Sequence[Sequence[str]],
    wanted: bytes,
    below: bytes,
) -> int:
    """Make `image`, a compressed qcow2 of a disk of `size` bytes on top of `backing` (a path
    relative to its folder, or ""), whose list is `below`; the bytes written. `views` are
    [socket, export], the likeliest first."""
    source = [Side(*view) for view in views]
    whole = -(-size // filling.CLUSTER) * filling.CLUSTER
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compression_type=zstd"]
    words += ["-b", backing, "-F", "qcow2"] if backing else []
    run([*words, "--", str(image), str(whole)], "create", f"{image} could not be made")
    todo = differing(wanted, below)
    tally = Tally(bytes_in(todo, size))
    socket = exporter.serve_packing(disk, str(image))
    try:
        rebuild = Rebuild(source, Side(socket, disk), wanted, size)
        Crew(disk, tally).work(todo, lambda: Desk(rebuild, tally), RUN)
    except nbd.Error as error:
        raise Problem("nbd", f"The connection to {image} broke: {error}") from error
    finally:
        exporter.stop(socket)
    filling.trim(image, size)
    return tally.written


def prove(disk: str, image: Path, digests: Path) -> None:
    """Level 2: the content of an image, read through its chain, is what a list says, or Problem."""
    socket = exporter.serve_image(disk, str(image), "qcow2", writable=False)
    try:
        found = mover.one_disk(disk, [socket, disk], digests=str(digests))
    finally:
        exporter.stop(socket)
    if found["bad"]:
        first, after = found["bad"][0]
        raise Problem("damaged", f"bytes {first}–{after - 1} are not what was backed up")

"""Makes the image of one disk of one generation anew, on top of another parent or of none, and
proves images. Runs on the store's machine; needs python3-libnbd.

Which blocks the new image must hold follows from two lists of digests, the generation's own and
its new parent's; nothing else is read. Each block is held against the generation's own list before
it is written, and the whole content afterwards, through the new chain.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from labpanel.lib.store_format.digests import BLOCK, DIGEST_BYTES, ZERO
from labpanel.lib.store_format.manifest import Manifest
from labpanel.onhost.blocks import digests as lists
from labpanel.onhost.blocks.block_worker import BlockWorker
from labpanel.onhost.blocks.blocks import (
    Ranges,
    Side,
    bytes_in,
    digest_at,
    digest_of,
    fitting,
    merged,
)
from labpanel.onhost.blocks.connection import IoFailed, NbdConnection, connected
from labpanel.onhost.blocks.worker_pool import Tally, WorkerPool
from labpanel.onhost.images import exporter, layers
from labpanel.onhost.runtime.wire import Problem
from labpanel.onhost.store import filling, manifests, merges, prover

RUN = 4  # blocks dealt with at once
PAGE = 4096  # digests compared at once


def list_of(folder: Path, manifest: Manifest, target: str) -> bytes:
    """A disk's list of digests, held against the manifest: a digest that rotted proves nothing."""
    disk, key = merges.disk_of(manifest, target), manifest.generation
    path = folder / manifests.name(key) / manifests.file_name(disk.list_file)
    try:
        found = lists.read(str(path))
    except OSError as error:
        raise Problem("damaged", f"{path} cannot be read: {error.strerror}.") from None
    if hashlib.sha256(found).hexdigest() != disk.root:
        raise Problem("damaged", f"{path.name} of generation {key} is not what was written.")
    return found


def list_below(folder: Path, manifest: Manifest, target: str, length: int) -> bytes:
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


class Views:
    """Exports that are read in turn until one holds what is wanted: one thread's Reader."""

    def __init__(self, sides: Sequence[Side], wanted: bytes) -> None:
        self._views = [NbdConnection(side) for side in sides]
        self._wanted = wanted

    def read(self, length: int, start: int) -> memoryview:
        """One block, which is as it was backed up. Raises Problem "damaged"."""
        for view in self._views:
            try:
                data = view.read(length, start)
            except IoFailed:
                continue  # the next one may have it
            if digest_of(data) == digest_at(self._wanted, start // BLOCK):
                return data
        raise Problem("damaged", f"the block at byte {start} is not what was backed up")

    def close(self) -> None:
        for view in self._views:
            view.close()


class RebuildWorker(BlockWorker):
    """One thread of a rebuild. The image is written in whole clusters."""

    def __init__(
        self, size: int, views: Sequence[Side], target: Side, wanted: bytes, tally: Tally
    ) -> None:
        self._image = NbdConnection(target)
        super().__init__(size, Views(views, wanted), self._image)
        self._wanted, self._tally = wanted, tally
        self._whole = whole_clusters(size)

    def do(self, first: int, after: int) -> None:
        for block in range(first, after):
            if digest_at(self._wanted, block) == ZERO:
                self._zeros(block)
            else:
                super().do(block, block + 1)

    def block(self, block: int, data: memoryview) -> None:
        start = block * BLOCK
        padding = min(start + BLOCK, self._whole) - start - len(data)
        self._image.write(bytes(data) + bytes(padding) if padding else data, start)
        self._tally.add(len(data), read=len(data), written=len(data))

    def _zeros(self, block: int) -> None:
        """Written, not left out: what the parent has there must not show through."""
        start, length = block * BLOCK, self.length(block, block + 1)
        self._image.zero(min(start + BLOCK, self._whole) - start, start, hide=True)
        self._tally.add(length, read=length, written=length)


def whole_clusters(size: int) -> int:
    return -(-size // filling.CLUSTER) * filling.CLUSTER


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
    sources = [Side(*view) for view in views]
    filling.create(image, whole_clusters(size), backing)
    todo = differing(wanted, below)
    tally = Tally(bytes_in(todo, size))
    # Only whole blocks are written: what the image backs on need not be opened for them.
    socket = exporter.serve_packing(disk, layers.inner(image, "qcow2"))
    target = Side(socket, disk)
    try:
        fitting(wanted, size)
        with connected(str(image)):
            WorkerPool(disk, tally).work(
                todo, lambda: RebuildWorker(size, sources, target, wanted, tally), RUN
            )
    finally:
        exporter.stop(socket)
    filling.trim(image, size)
    return tally.written


def prove(disk: str, stack: layers.Stack, digests: Path) -> None:
    """Level 2: the content of an opened chain, which is closed here, is what a list says, or
    Problem."""
    socket = exporter.serve_stack(disk, stack, writable=False)
    try:
        found = prover.read_content(disk, [socket, disk], digests=str(digests))
    finally:
        exporter.stop(socket)
    if found.bad:
        first, after = found.bad[0]
        raise Problem("damaged", f"bytes {first}–{after - 1} are not what was backed up")

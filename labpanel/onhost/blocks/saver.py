"""Backs up one virtual disk on the source host: only blocks whose digest changed are written.

What the hint does not name is not read; what is read is held against the digest in the list, which
starts as the parent generation's. So a wrong or missing hint costs reading, never a block that is
kept wrongly, and a full backup is the same against a list of zeros.
"""

import time
import zlib
from typing import Any

import nbd

from labpanel.lib.store_format.digests import BLOCK, ZERO
from labpanel.onhost.blocks.block_worker import BlockWorker
from labpanel.onhost.blocks.blocks import (
    ALLOCATION,
    Ranges,
    Side,
    beyond,
    bytes_in,
    common,
    digest_of,
    dirty_ranges,
    everything,
    merged,
    number_of_blocks,
    touched,
    without,
    zero_ranges,
)
from labpanel.onhost.blocks.connection import IoFailed, NbdConnection, connected, reader
from labpanel.onhost.blocks.digests import Digests
from labpanel.onhost.blocks.worker_pool import Cap, Tally, WorkerPool
from labpanel.onhost.runtime.wire import Problem

# Modes of labpanel/lib/hints.py
FULL, BITMAP, UNCHANGED, DEEP = "full", "bitmap", "unchanged", "deep"
RUN = 1  # blocks read at once: what was read is digested while the CPU's cache has it
ZERO_RUN = 1024  # blocks made zeros at once
FINE = 4096  # how finely what cannot be read is named
TRIES = 2000  # failing reads after which it is named by whole blocks only: each may take seconds
SAMPLES, SAMPLE = 4, 256  # how many bytes of a block tell whether it compresses
WORTH = 0.95


class Save:
    """What the threads share while one disk is backed up."""

    def __init__(
        self,
        source: Side,
        target: Side,
        plain: Side,
        digests: Side,
        mode: str,
        context: str,
        forced: list[list[int]],
        file: str = "",
        root: str = "",
    ) -> None:
        self.source, self.target, self.plain, self.mode = source, target, plain, mode
        self.file = file
        maps = source.connect(ALLOCATION, *([context] if context else []))
        self.size: int = maps.get_size()
        self.forced = touched(forced, self.size)
        self.dirty = dirty_ranges(maps, self.size, context)
        self.candidates = self._candidates()
        self.zeros = zero_ranges(maps, self.size, self.candidates)
        maps.shutdown()
        blocks, fresh = number_of_blocks(self.size), mode == FULL
        self.digests = Digests(digests.connect, blocks, fresh=fresh, root=root)
        self.tally = Tally(bytes_in(self.candidates, self.size))
        self.longer = 0
        self.wrote = False
        self.changed: list[int] = []
        self.unreadable: list[tuple[int, int]] = []
        self.tries = 0

    def _candidates(self) -> Ranges:
        if self.mode == UNCHANGED:
            return self.forced
        if self.mode == BITMAP and self.dirty is not None:
            return merged([*self.dirty, *self.forced])
        return everything(self.size)

    def connect_target(self) -> NbdConnection:
        """The target may be longer than the disk by less than a cluster."""
        found = NbdConnection(self.target)
        self.longer = beyond(self.size, found.size)
        return found

    def must_write(self, block: int, digest: bytes, before: bytes) -> bool:
        """Whether the parent has something else there (`before`), or is bad there."""
        if self.is_forced(block):
            return True
        if before == digest:
            return False
        self.changed.append(block)
        return True

    def is_forced(self, block: int) -> bool:
        return any(first <= block < after for first, after in self.forced)

    def missed(self) -> list[list[int]]:
        """In a deep run, what changed though the bitmap did not flag it."""
        if self.mode != DEEP or self.dirty is None:
            return []
        return self.spans(without(merged((n, n + 1) for n in self.changed), self.dirty))

    def spans(self, blocks: Ranges) -> list[list[int]]:
        """As [first byte, byte after]; the disk may end within a block."""
        return [[first * BLOCK, min(after * BLOCK, self.size)] for first, after in blocks]


def settle_zeros(save: Save) -> None:
    """What the map says reads as zeros needs no reading. Where the parent has something, zeros are
    written explicitly, so that they hide it: a trim would not."""
    target = save.connect_target()
    for first, after in save.zeros:
        held = list(save.digests.held(first, after))
        save.changed += [block for block in held if not save.is_forced(block)]
        for block in held:
            save.digests.set(block, ZERO)
        forced = common([(first, after)], save.forced)
        for one, other in merged([*((block, block + 1) for block in held), *forced]):
            for at in range(one, other, ZERO_RUN):
                write_zeros(save, target, at, min(at + ZERO_RUN, other))
        save.tally.add(bytes_in([(first, after)], save.size), lost=len(held) * BLOCK)
    target.close()


def write_out(save: Save) -> None:
    """What the server holds back goes to the store's machine; an error of that shows only here."""
    if not save.wrote:
        return
    target = save.connect_target()
    try:
        target.flush()
    except nbd.Error as error:
        raise IoFailed("write", 0, BLOCK, error).problem() from error
    target.close()


def write_zeros(save: Save, target: NbdConnection, first: int, after: int) -> None:
    end = after * BLOCK if after * BLOCK <= save.size else save.size + save.longer
    save.wrote = True
    target.zero(end - first * BLOCK, first * BLOCK, hide=True)


class SaveWorker(BlockWorker):
    """One thread of a backup. Its targets are connected when there is something to write."""

    def __init__(self, save: Save, cap: Cap) -> None:
        super().__init__(save.size, reader(save.source, save.file))
        self._save, self._cap = save, cap
        self._targets: dict[str, NbdConnection] = {}

    def close(self) -> None:
        for target in self._targets.values():
            target.close()
        super().close()

    def _target(self, name: str = "packed") -> NbdConnection:
        if name not in self._targets:
            save = self._save
            self._targets[name] = (
                NbdConnection(save.plain) if name == "plain" else save.connect_target()
            )
        return self._targets[name]

    def block(self, block: int, data: memoryview) -> None:
        self._keep(block, data, len(data))

    def unread(self, first: int, after: int, failed: IoFailed) -> None:
        self._end_if_gone(failed)
        if after - first > 1:
            self.one_by_one(first, after)
        else:
            self._salvage(first, first * BLOCK, self.length(first, after))

    def _end_if_gone(self, failed: IoFailed) -> None:
        if failed.gone:
            sentence = f"The connection to the disk was lost at byte {failed.first}: {failed}"
            raise Problem("nbd", sentence) from failed

    def _keep(self, block: int, data: memoryview, read: int) -> None:
        save, digest = self._save, digest_of(data)
        written, before = 0, save.digests.get(block)
        held = len(data) if before != ZERO else 0
        alike = held if before == digest else 0
        if save.must_write(block, digest, before):
            if digest == ZERO:
                write_zeros(save, self._target(), block, block + 1)
            else:
                self._write(block, data)
                written = len(data)
            save.digests.set(block, digest)
        save.tally.add(len(data), read=read, written=written, alike=alike, lost=held - alike)

    def _write(self, block: int, data: memoryview) -> None:
        save = self._save
        self._cap.take(len(data))
        if len(data) < BLOCK:
            data = memoryview(bytes(data) + bytes(save.longer))
        target = self._target("packed" if compresses(data) else "plain")
        save.wrote = True
        target.write(data, block * BLOCK)

    def _salvage(self, block: int, start: int, length: int) -> None:
        """A block that cannot be read in whole: name what cannot. Where a parent holds it, the
        parent's content stays; in a first full what can be read is kept, and zeros for the rest."""
        save = self._save
        content = bytearray(length)
        lost = self._read_finely(content, start, 0, length)
        save.unreadable.extend(lost)
        if save.mode == FULL:
            self._keep(block, memoryview(content), length)
        else:
            save.tally.add(length, read=length)

    def _read_finely(
        self, into: bytearray, start: int, first: int, after: int
    ) -> list[tuple[int, int]]:
        """Halve until FINE; the stretches of bytes of the disk that could not be read."""
        save, middle = self._save, (first + after) // 2 // FINE * FINE
        if after - first <= FINE or save.tries > TRIES or middle <= first:
            return [(start + first, start + after)]
        lost = []
        for one, other in ((first, middle), (middle, after)):
            try:
                into[one:other] = self.source.read(other - one, start + one)
            except IoFailed as failed:
                self._end_if_gone(failed)
                save.tries += 1
                save.tally.add(0)
                lost += self._read_finely(into, start, one, other)
        return lost


def compresses(data: memoryview) -> bool:
    """Whether a block is worth the compressor's time, by four samples of it."""
    step = max(len(data) // SAMPLES, SAMPLE)
    sample = b"".join(data[at : at + SAMPLE] for at in range(0, len(data), step))
    return len(zlib.compress(sample, 1)) < len(sample) * WORTH


def flagged(source: list[str], context: str) -> int | None:
    """How many bytes the dirty bitmap flags; None if the export does not show it."""
    with connected():
        maps = Side(*source).connect(context)
        size: int = maps.get_size()
        dirty = dirty_ranges(maps, size, context)
        maps.shutdown()
    return None if dirty is None else bytes_in(dirty, size)


def back_up(
    disk: str,
    source: list[str],
    target: list[str],
    digests: list[str],
    mode: str,
    context: str = "",
    forced: list[list[int]] | None = None,
    bytes_per_second: int | None = None,
    file: str = "",
    root: str = "",
) -> dict[str, Any]:
    """Back up one disk; `source` and `digests` are [socket, export], `target` has a second export,
    past the compressor. `forced` are [first byte, byte after] to be written whatever the list says,
    since the parent's file is bad there. `file`: see connection.reader; `root`: see Digests.
    `hinted` is false if the bitmap of mode BITMAP was not to be had: then everything was read."""
    began = time.monotonic()
    with connected():
        socket, export, plain = target
        ends = Side(*source), Side(socket, export), Side(socket, plain), Side(*digests)
        save = Save(*ends, mode, context, forced or [], file, root)
        cap = Cap(bytes_per_second, save.tally)
        settle_zeros(save)
        todo = without(save.candidates, save.zeros)
        WorkerPool(disk, save.tally).work(todo, lambda: SaveWorker(save, cap), RUN)
        write_out(save)
        now = save.digests.root()
        save.digests.flush()
    return {
        "virtual_bytes": save.size,
        "candidate_bytes": bytes_in(save.candidates, save.size),
        "read_bytes": save.tally.read,
        "written_bytes": save.tally.written,
        "seconds": time.monotonic() - began,
        "unreadable": [list(span) for span in merged(save.unreadable)],
        "missed": save.missed(),
        "alike_bytes": save.tally.alike,
        "lost_bytes": save.tally.lost,
        "hinted": mode != BITMAP or save.dirty is not None,
        "root": now,
    }

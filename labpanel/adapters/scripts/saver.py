"""Backs up one virtual disk on the source host: only blocks whose digest changed are written.

What the hint does not name is not read; what is read is held against the digest in the list, which
starts as the parent generation's. So a wrong or missing hint costs reading, never a block that is
kept wrongly, and a full backup is the same against a list of zeros.
"""

import errno
import threading
import time
import zlib
from typing import Any

import nbd

from labpanel.adapters.scripts.blocks import (
    ALLOCATION,
    Ranges,
    Side,
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
from labpanel.adapters.scripts.crew import Crew, Tally
from labpanel.adapters.scripts.digests import BLOCK, ZERO, Digests
from labpanel.adapters.scripts.reading import Unreadable, reader
from labpanel.adapters.scripts.wire import Problem

# Modes of labpanel/lib/hints.py
FULL, BITMAP, UNCHANGED, DEEP = "full", "bitmap", "unchanged", "deep"
LONGER = 64 * 1024  # a target that is compressed ends with a whole cluster
RUN = 1  # blocks read at once: what was read is digested while the CPU's cache has it
ZERO_RUN = 1024  # blocks made zeros at once
FINE = 4096  # how finely what cannot be read is named
TRIES = 2000  # failing reads after which it is named by whole blocks only: each may take seconds
SAMPLES, SAMPLE = 4, 256  # how many bytes of a block tell whether it compresses
WORTH = 0.95


class Cap:
    """A token bucket of one second: at most so many bytes are written a second."""

    def __init__(self, bytes_per_second: int | None, tally: Tally) -> None:
        self._rate = max(bytes_per_second or 0, 0)
        self._tally = tally
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def take(self, length: int) -> None:
        """Wait until `length` bytes may go."""
        if not self._rate:
            return
        with self._lock:
            at = max(self._free_at, time.monotonic() - 1)
            self._free_at = at + length / self._rate
        while (wait := at - time.monotonic()) > 0:
            time.sleep(min(wait, 1))
            self._tally.add(0)  # waiting one's turn is not stalling


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
        self.digests = Digests(digests.connect, number_of_blocks(self.size), fresh=mode == FULL)
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

    def connect_target(self) -> Any:
        """The target may be longer than the disk by less than a cluster."""
        handle = self.target.connect()
        self.longer = handle.get_size() - self.size
        if not 0 <= self.longer < LONGER:
            raise Problem("size", f"{self.size} bytes do not fit {self.size + self.longer} bytes.")
        return handle

    def must_write(self, block: int, digest: bytes) -> bool:
        """Whether the parent has something else there, or is bad there."""
        if self.is_forced(block):
            return True
        if self.digests.get(block) == digest:
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
        save.tally.add(bytes_in([(first, after)], save.size))
    target.shutdown()


def write_out(save: Save) -> None:
    """What the server holds back goes to the store's machine; an error of that shows only here."""
    if not save.wrote:
        return
    target = save.connect_target()
    try:
        target.flush()
    except nbd.Error as error:
        raise _unwritten(0, error) from error
    target.shutdown()


def write_zeros(save: Save, target: Any, first: int, after: int) -> None:
    end = after * BLOCK if after * BLOCK <= save.size else save.size + save.longer
    save.wrote = True
    try:
        target.zero(end - first * BLOCK, first * BLOCK, nbd.CMD_FLAG_NO_HOLE)
    except nbd.Error as error:
        raise _unwritten(first, error) from error


class Desk:
    """One thread of a backup (see crew.Station)."""

    def __init__(self, save: Save, cap: Cap) -> None:
        self._save, self._cap = save, cap
        self._source = reader(save.source, save.file)
        self._targets: dict[str, Any] = {}

    def close(self) -> None:
        for handle in self._targets.values():
            handle.shutdown()
        self._source.close()

    def _target(self, name: str = "packed") -> Any:
        """A connection of its own, made when there is something to write."""
        if name not in self._targets:
            save = self._save
            connect = save.plain.connect if name == "plain" else save.connect_target
            self._targets[name] = connect()
        return self._targets[name]

    def do(self, first: int, after: int) -> None:
        start = first * BLOCK
        length = min(after * BLOCK, self._save.size) - start
        try:
            data = self._source.read(length, start)
        except Unreadable:
            if after - first > 1:
                for block in range(first, after):
                    self.do(block, block + 1)
            else:
                self._salvage(first, start, length)
            return
        for block in range(first, after):
            piece = data[block * BLOCK - start : (block + 1) * BLOCK - start]
            self._keep(block, piece, len(piece))

    def _keep(self, block: int, data: memoryview, read: int) -> None:
        save, digest = self._save, digest_of(data)
        written = 0
        if save.must_write(block, digest):
            if digest == ZERO:
                write_zeros(save, self._target(), block, block + 1)
            else:
                self._write(block, data)
                written = len(data)
            save.digests.set(block, digest)
        save.tally.add(len(data), read=read, written=written)

    def _write(self, block: int, data: memoryview) -> None:
        save = self._save
        self._cap.take(len(data))
        if len(data) < BLOCK:
            data = memoryview(bytes(data) + bytes(save.longer))
        target = self._target("packed" if compresses(data) else "plain")
        save.wrote = True
        try:
            target.pwrite(data, block * BLOCK)
        except nbd.Error as error:
            raise _unwritten(block, error) from error

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
                into[one:other] = self._source.read(other - one, start + one)
            except Unreadable:
                save.tries += 1
                save.tally.add(0)
                lost += self._read_finely(into, start, one, other)
        return lost


def compresses(data: memoryview) -> bool:
    """Whether a block is worth the compressor's time, by four samples of it."""
    step = max(len(data) // SAMPLES, SAMPLE)
    sample = b"".join(data[at : at + SAMPLE] for at in range(0, len(data), step))
    return len(zlib.compress(sample, 1)) < len(sample) * WORTH


def _unwritten(block: int, error: nbd.Error) -> Problem:
    code = "full" if error.errnum == errno.ENOSPC else "write"
    return Problem(code, f"Writing at byte {block * BLOCK} failed: {error}")


def flagged(source: list[str], context: str) -> int | None:
    """How many bytes the dirty bitmap flags; None if the export does not show it."""
    try:
        maps = Side(*source).connect(context)
        size: int = maps.get_size()
        dirty = dirty_ranges(maps, size, context)
        maps.shutdown()
    except nbd.Error as error:
        raise Problem("nbd", f"The connection to the disk broke: {error}") from error
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
) -> dict[str, Any]:
    """Back up one disk; `source` and `digests` are [socket, export], `target` has a second export,
    past the compressor. `forced` are [first byte, byte after] to be written whatever the list says,
    since the parent's file is bad there. `file`: see reading.py. `hinted` is false
    if the bitmap of mode BITMAP was not to be had: then everything was read."""
    began = time.monotonic()
    try:
        socket, export, plain = target
        ends = Side(*source), Side(socket, export), Side(socket, plain), Side(*digests)
        save = Save(*ends, mode, context, forced or [], file)
        cap = Cap(bytes_per_second, save.tally)
        settle_zeros(save)
        todo = without(save.candidates, save.zeros)
        Crew(disk, save.tally).work(todo, lambda: Desk(save, cap), RUN)
        write_out(save)
        save.digests.flush()
    except nbd.Error as error:
        raise Problem("nbd", f"The connection to the disk broke: {error}") from error
    return {
        "virtual_bytes": save.size,
        "candidate_bytes": bytes_in(save.candidates, save.size),
        "read_bytes": save.tally.read,
        "written_bytes": save.tally.written,
        "seconds": time.monotonic() - began,
        "unreadable": [list(span) for span in merged(save.unreadable)],
        "missed": save.missed(),
        "hinted": mode != BITMAP or save.dirty is not None,
    }

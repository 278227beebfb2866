"""Copying the opened disks of a VM into a generation under way, each by its hint."""

from collections.abc import Mapping
from dataclasses import dataclass

from backups.rules.backup.spans import ranges
from backups.selectors.copies.parents import Parent
from backups.services.backup.source import Facts, OpenDisks
from backups.services.index.meter import Meter
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export, Mover, Saved, Tick
from labpanel.adapters.ssh.nbd_relay import relayed
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs.work import Work
from labpanel.lib.disks import SourceDisk
from labpanel.lib.hints import BITMAP, EVERYTHING, FULL, READ, UNCHANGED, Hint
from labpanel.lib.store_format.found import BegunDisk
from labpanel.lib.store_format.manifest import UNKNOWN, DiskEntry


@dataclass(frozen=True, slots=True)
class Copying:
    """What copies, from where to where."""

    work: Work
    mover: Mover
    images: ImageHost
    keeper: Keeper
    begun: Mapping[str, BegunDisk]
    parents: Mapping[str, Parent]

    def all(self, facts: Facts, disks: OpenDisks, sizes: dict[str, int]) -> list[DiskEntry]:
        """Copy every disk; their entries for the manifest."""
        meter = Meter(self.work, sizes, "copying")
        meter.also(disks.look)
        return [self._one(disk, disks, sizes[disk.target], meter) for disk in facts.disks]

    def _one(self, disk: SourceDisk, disks: OpenDisks, size: int, meter: Meter) -> DiskEntry:
        target = disk.target
        begun, parent = self.begun[target], self.parents.get(target, Parent())
        hint = disks.hints[target]
        if not begun.parent:
            hint = Hint(FULL, begun.why or parent.why or hint.why)
        elif hint.mode == FULL:
            hint = EVERYTHING  # the list is not empty, so all of it must be held against the disk
        forced = parent.forced if begun.parent else []
        root = parent.root_at(size) if begun.parent else ""
        self.work.line(f"{target}: {hint.mode}. {hint.why}".rstrip())
        if not forced and self._untouched(disks.exports[target], hint):
            # No server is needed on either side.
            saved = Saved(size, 0, 0, 0, 0.0, [], [], hinted=True, root=root)
            meter.of(target)(Tick(0, 0))
        else:
            saved = self._save(disks, target, hint, forced, root, meter)
        if not saved.hinted:
            hint = Hint(READ, "QEMU did not show its record of what changed: everything was read.")
        return _entry(disk, disks, begun, hint, saved)

    def _untouched(self, source: Export, hint: Hint) -> bool:
        if hint.mode == BITMAP:
            return self.mover.flagged(source, hint.context) == 0
        return hint.mode == UNCHANGED

    def _save(
        self,
        disks: OpenDisks,
        target: str,
        hint: Hint,
        forced: list[list[int]],
        root: str,
        meter: Meter,
    ) -> Saved:
        begun, keeper, images = self.begun[target], self.keeper, self.images
        stored = keeper.serve_bytes(target, begun.image)
        listed = keeper.serve_bytes("digests", begun.digests)
        here, there, folder = self.mover.machine, keeper.machine, images.sockets()
        with (
            relayed(there, here, stored, folder) as near,
            relayed(there, here, listed, folder) as list_near,
        ):
            packing = images.serve_compressing(target, near, target)
            saved = self.mover.back_up(
                disks.exports[target],
                Export(packing.socket, packing.name),
                Export(list_near, "digests"),
                hint=hint,
                plain=packing.plain,
                forced=forced,
                bytes_per_second=self.work.job.parameters.get("bytes_per_second"),
                root=root,
                on_progress=meter.of(target),
            )
            images.stop(packing.socket)
        keeper.stop(listed)
        keeper.stop(stored)
        return saved


def _entry(
    disk: SourceDisk, disks: OpenDisks, begun: BegunDisk, hint: Hint, saved: Saved
) -> DiskEntry:
    """All but what the store's machine adds when it has hashed the files."""
    return DiskEntry(
        target=disk.target,
        source=disk.source,
        source_format=disk.format,
        mode=hint.mode,
        why=hint.why,
        parent=begun.parent,
        virtual_bytes=saved.virtual_bytes,
        candidate_bytes=saved.candidate_bytes,
        read_bytes=saved.read_bytes,
        copied_bytes=saved.written_bytes,
        seconds=saved.seconds,
        unreadable=ranges(saved.unreadable),
        missed=ranges(saved.missed),
        stamps=tuple(disks.stamps.get(disk.target, [])),
        node=disks.nodes.get(disk.target, ""),
        alike_bytes=saved.alike_bytes,
        lost_bytes=saved.lost_bytes,
        chain=tuple(disks.chain_of(disk)),
        inode=disks.inode_of(disk),
        root=saved.root or UNKNOWN,
    )

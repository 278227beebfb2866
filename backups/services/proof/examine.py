"""Look at a generation at one level, and find every other that shows what is rotten in it."""

from backups.rules.backup.lineage import holders
from backups.rules.backup.spans import Spans, joined
from backups.rules.copies.faults import FILES, LOOK, UNREAD, Fault, InspectedGeneration
from backups.services.index.generation_reader import GenerationReader, View, content_fault
from backups.services.index.index_generation import lacking, looked
from backups.services.index.meter import Meter
from labpanel.lib.store_format.manifest import DiskEntry, Manifest
from labpanel.lib.store_format.names import MANIFEST

Findings = dict[str, list[InspectedGeneration]]


class Examination:
    """`findings` says, generation by generation, what was looked at and what was seen. `unread`
    are files that the store's machine could not read: generation, name, bytes of the disk."""

    def __init__(self, shelf: GenerationReader) -> None:
        self._shelf = shelf
        self.findings: Findings = {}
        self.unread: list[tuple[str, str, Spans]] = []

    def note(self, key: str, seen: InspectedGeneration) -> None:
        self.findings.setdefault(key, []).append(seen)
        for fault in seen.faults:
            if fault.level == FILES and fault.what.startswith(UNREAD):
                self.unread.append((fault.of, fault.file, []))

    def files(self, key: str) -> None:
        """Level 1. An image that is not what was written is read as well, to know what its
        generation and those built on it show of that."""
        shelf = self._shelf
        manifest = shelf.manifest(key)
        faults = [*shelf.manifest_faults(key), *self._parents(key, manifest)]
        faults += looked(key, lacking(manifest.disks)).faults
        images = {disk.file: disk.sha256 for disk in manifest.disks}
        sizes = {disk.file: disk.file_bytes for disk in manifest.disks}
        meter = Meter(shelf.work, sizes, "hashing")
        hashes = {**shelf.small_files(key), **images}
        wrong = shelf.prover.files(shelf.vm_uuid, key, hashes, meter.event)
        disks = {
            name: disk.target for disk in manifest.disks for name in (disk.file, disk.list_file)
        }
        faults += [Fault(FILES, key, name, wrong[name], disks.get(name, "")) for name in wrong]
        self.note(key, InspectedGeneration(faults, frozenset({LOOK, FILES})))
        for disk in manifest.disks:
            if disk.file in wrong:
                self._disk(key, disk)

    def _parents(self, key: str, manifest: Manifest) -> list[Fault]:
        """What backs on a generation that is gone, or follows one that is not the one it was."""
        known, found = self._shelf.generations, []
        for disk in manifest.disks:
            if disk.parent and disk.parent not in known:
                what = f"backs on generation {disk.parent}, which is gone"
                found.append(Fault(FILES, key, disk.file, what, disk.target))
        if manifest.parent in known:
            before = self._shelf.manifest(manifest.parent)
            if before.is_sealed and before.content != manifest.parent_content:
                what = f"follows another generation {manifest.parent} than the one that lies there"
                found.append(Fault(FILES, key, MANIFEST, what))
        return found

    def content(self, key: str) -> None:
        """Level 2: every disk through its chain against its digests."""
        shelf = self._shelf
        wrong = shelf.manifest_faults(key)
        small = shelf.prover.files(shelf.vm_uuid, key, shelf.small_files(key))
        wrong = [*wrong, *(Fault(FILES, key, name, what) for name, what in small.items())]
        if wrong:
            self.note(key, InspectedGeneration(wrong))
        for disk in shelf.manifest(key).disks:
            self._disk(key, disk)

    def _disk(self, key: str, disk: DiskEntry) -> None:
        self._shelf.work.check()
        target, whole = disk.target, [[0, disk.virtual_bytes]]
        view = self._shelf.view(key, target, self._meter(disk, "reading"))
        if view.unreadable:
            self.unread.append((key, disk.file, view.unreadable))
        if view.bad:
            self._trace(key, disk, view)
        else:
            self.note(key, InspectedGeneration(within={target: whole}))

    def _meter(self, disk: DiskEntry, phase: str) -> Meter:
        return Meter(self._shelf.work, {disk.target: disk.virtual_bytes}, phase)

    def _trace(self, key: str, disk: DiskEntry, view: View) -> None:
        """Whose file is rotten, and who else shows it: down to the oldest that does, then up."""
        shelf, target = self._shelf, disk.target
        meter, lineage = self._meter(disk, "tracing damage in"), shelf.lineages[target]
        views, root, whole = {key: view}, key, {key}
        for older in lineage.chain(key)[1:]:
            views[older] = shelf.view(older, target, meter, view.bad)
            if not views[older].bad:
                break
            root = older
        region = view.bad
        if root != key:  # what its own file hides from the others shows in its own view
            views[root] = shelf.view(root, target, meter)
            whole.add(root)
            region = joined([*region, *views[root].bad])
        for newer in lineage.built_on(root):
            if newer != key:
                views[newer] = shelf.view(newer, target, meter, region)
        self._write(target, views, region, whole)

    def _write(self, target: str, views: dict[str, View], region: Spans, whole: set[str]) -> None:
        shelf = self._shelf
        bad = {key: view.bad for key, view in views.items()}
        for key, view in views.items():
            faults = [
                content_fault(of, target, spans, views[of].unopened)
                for of, spans in holders(shelf.lineages[target].chain(key), bad)
            ]
            disk = shelf.disk(key, target)
            size = disk.virtual_bytes if disk else 0
            looked = [[0, size]] if key in whole or view.unopened else region
            self.note(key, InspectedGeneration(faults, within={target: looked}))


def damaged(findings: Findings) -> list[str]:
    """The generations in which something wrong was seen, in the order in which it was."""
    return [key for key, looks in findings.items() if any(look.faults for look in looks)]

"""One VM's generations in one store, as a verification reads them: what each manifest promises, and
what its files and views hold."""

from dataclasses import dataclass, field

from backups.models import Generation
from backups.rules.backup.spans import Spans, joined
from backups.rules.copies.faults import CHANGED, CONTENT, FILES, ROTTEN, Fault
from backups.rules.copies.trust import FORGED_WHAT
from backups.selectors.copies.lineages import lineages
from backups.services.index.meter import Meter
from backups.services.index.signing import judged
from labpanel.adapters.images.mover import Export
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.prover import Prover
from labpanel.jobs.work import Work
from labpanel.lib.store_format.manifest import DiskEntry, Manifest
from labpanel.lib.store_format.names import MANIFEST, image
from labpanel.lib.store_format.signature import SignatureVerdict


@dataclass(frozen=True, slots=True)
class View:
    """What one disk of one generation shows wrongly; `unopened` says why nothing can be read.
    `unreadable` are those bytes of `bad` that the store's machine cannot read at all. `root` is
    that of what was read, if all was."""

    bad: Spans
    unopened: str = ""
    root: str = ""
    unreadable: Spans = field(default_factory=list)


class GenerationReader:
    """Reads through a keeper (which serves images) and a prover (which compares)."""

    def __init__(self, work: Work, keeper: Keeper, prover: Prover, one: Generation) -> None:
        self.work, self.keeper, self.prover = work, keeper, prover
        self.vm_uuid = str(one.vm_uuid)
        rows = Generation.objects.filter(store=one.store, vm_uuid=one.vm_uuid)
        present = rows.exclude(state=Generation.State.MISSING)
        self.generations = {row.key: row for row in present}
        self.lineages = lineages(one.vm_uuid, one.store)
        self._manifests: dict[str, tuple[Manifest, list[Fault], Manifest | None]] = {}
        self._lists: dict[tuple[str, str], str] = {}

    def forget(self) -> None:
        """What was read of manifests and lists is not so any more."""
        self._manifests.clear()
        self._lists.clear()

    def manifest(self, key: str) -> Manifest:
        """What was promised: the store's own word if it is whole, else the panel's copy of it."""
        return self._read(key)[0]

    def manifest_faults(self, key: str) -> list[Fault]:
        return self._read(key)[1]

    def found(self, key: str) -> Manifest | None:
        """The manifest that lies in the store, if nothing is wrong with it."""
        return self._read(key)[2]

    def _read(self, key: str) -> tuple[Manifest, list[Fault], Manifest | None]:
        if key not in self._manifests:
            found, wrong = self.prover.manifest(self.vm_uuid, key)
            row = self.generations[key]
            if found is not None and judged(found) is SignatureVerdict.FORGED:
                found, wrong = None, FORGED_WHAT
            elif found is not None and not found.is_of_same(row.manifest):
                found, wrong = None, CHANGED
            faults = [Fault(FILES, key, MANIFEST, wrong)] if wrong else []
            if row.trust == Generation.Trust.FORGED:
                found, faults = None, [Fault(FILES, key, MANIFEST, FORGED_WHAT)]
            whole = found or row.manifest
            self._manifests[key] = (whole, faults, found)
        return self._manifests[key]

    def disk(self, key: str, target: str) -> DiskEntry | None:
        return self.manifest(key).disk(target)

    def small_files(self, key: str) -> dict[str, str]:
        """Name → SHA-256 of everything but the images."""
        manifest = self.manifest(key)
        lists = {disk.list_file: disk.list_sha256 for disk in manifest.disks}
        return {**lists, **manifest.digests_of_files}

    def list_wrong(self, key: str, disk: DiskEntry) -> str:
        """What is wrong with the list of digests of a disk; empty if it can be trusted."""
        place = (key, disk.target)
        if place not in self._lists:
            wrong = self.prover.files(self.vm_uuid, key, {disk.list_file: disk.list_sha256})
            self._lists[place] = wrong.get(disk.list_file, "")
        return self._lists[place]

    def view(self, key: str, target: str, meter: Meter, within: Spans | None = None) -> View:
        """Read a disk of a generation through its chain, in whole or `within`, and compare."""
        disk = self.disk(key, target)
        if disk is None:
            return View([])
        whole = [[0, disk.virtual_bytes]]
        try:
            path, known = self.path(key, disk.file), self.parents(key, target)
            socket = self.keeper.serve(target, path, known)
        except ScriptRefused as refusal:
            if refusal.code != "unreadable":
                raise
            return View(whole, unopened=refusal.sentence.rpartition(": ")[2])
        try:
            return self._compared(key, disk, Export(socket, target), meter, within)
        finally:
            self.keeper.stop(socket)

    def _compared(
        self, key: str, disk: DiskEntry, export: Export, meter: Meter, within: Spans | None
    ) -> View:
        digests = self.path(key, disk.list_file)
        on_progress = meter.of(disk.target)
        if self.list_wrong(key, disk):
            if within is not None:
                return View([])  # nothing trustworthy to hold these few blocks against
            read = self.prover.content(export, "", on_progress=on_progress)
            if read.root == disk.root:
                return View([], root=read.root)
        try:
            read = self.prover.content(export, digests, within=within, on_progress=on_progress)
        except ScriptRefused as refusal:
            if refusal.code not in {"digests", "os"}:
                raise
            return View([[0, disk.virtual_bytes]])
        if within is None and not read.bad and read.root != disk.root:
            return View([[0, disk.virtual_bytes]], root=read.root)
        return View(joined(read.bad), root=read.root, unreadable=joined(read.unreadable))

    def parents(self, key: str, target: str) -> dict[str, str | None]:
        """What the panel knows of the chain of a disk, for manifests that cannot be read."""
        lineage = self.lineages.get(target)
        return lineage.parents(key) if lineage else {}

    def path(self, key: str, file: str) -> str:
        return self.keeper.path_of(self.vm_uuid, key, file)


def content_fault(of: str, target: str, ranges: Spans, unopened: str) -> Fault:
    what = f"cannot be opened ({unopened})" if unopened else ROTTEN
    return Fault(CONTENT, of, image(target), what, target, ranges)

"""One VM's generations in one store, as a verification reads them: what each manifest promises, and
what its files and views hold."""

from dataclasses import dataclass
from typing import Any

from backups.models import Generation
from backups.rules.faults import CHANGED, CONTENT, FILES, ROTTEN, Fault
from backups.rules.spans import Spans, joined
from backups.selectors.lineages import lineages
from backups.services.meter import Meter
from labpanel.adapters.mover import Export
from labpanel.adapters.prover import Prover
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs.work import Work

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class View:
    """What one disk of one generation shows wrongly; `unopened` says why nothing can be read.
    `root` is that of what was read, if all was."""

    bad: Spans
    unopened: str = ""
    root: str = ""


class Shelf:
    """Reads through a keeper (which serves images) and a prover (which compares)."""

    def __init__(self, work: Work, keeper: Keeper, prover: Prover, one: Generation) -> None:
        self.work, self.keeper, self.prover = work, keeper, prover
        self.vm_uuid = str(one.vm_uuid)
        rows = Generation.objects.filter(store=one.store, vm_uuid=one.vm_uuid)
        present = rows.exclude(state=Generation.State.MISSING)
        self.generations = {row.key: row for row in present}
        self.lineages = lineages(one.vm_uuid, one.store)
        self._manifests: dict[str, tuple[dict[str, Any], list[Fault]]] = {}
        self._lists: dict[tuple[str, str], str] = {}

    def forget(self) -> None:
        """What was read of manifests and lists is not so any more."""
        self._manifests.clear()
        self._lists.clear()

    def manifest(self, key: str) -> dict[str, Any]:
        """What was promised: the store's own word if it is whole, else the panel's copy of it."""
        return self._read(key)[0]

    def manifest_faults(self, key: str) -> list[Fault]:
        return self._read(key)[1]

    def _read(self, key: str) -> tuple[dict[str, Any], list[Fault]]:
        if key not in self._manifests:
            found, wrong = self.prover.manifest(self.vm_uuid, key)
            copy = self.generations[key].manifest
            if found is not None and not _same(found, copy):
                found, wrong = None, CHANGED
            faults = [Fault(FILES, key, MANIFEST, wrong)] if wrong else []
            self._manifests[key] = (copy if found is None else found, faults)
        return self._manifests[key]

    def disk(self, key: str, target: str) -> dict[str, Any] | None:
        disks = self.manifest(key)["disks"]
        return next((disk for disk in disks if disk["target"] == target), None)

    def small_files(self, key: str) -> dict[str, str]:
        """Name → SHA-256 of everything but the images."""
        manifest = self.manifest(key)
        lists = {disk["digests"]["file"]: disk["digests"]["sha256"] for disk in manifest["disks"]}
        return {**lists, **manifest["files"]}

    def list_wrong(self, key: str, disk: dict[str, Any]) -> str:
        """What is wrong with the list of digests of a disk; empty if it can be trusted."""
        place = (key, disk["target"])
        if place not in self._lists:
            digests = disk["digests"]
            wrong = self.prover.files(self.vm_uuid, key, {digests["file"]: digests["sha256"]})
            self._lists[place] = wrong.get(digests["file"], "")
        return self._lists[place]

    def view(self, key: str, target: str, meter: Meter, within: Spans | None = None) -> View:
        """Read a disk of a generation through its chain, in whole or `within`, and compare."""
        disk = self.disk(key, target)
        if disk is None:
            return View([])
        whole = [[0, disk["virtual_bytes"]]]
        try:
            socket = self.keeper.serve(target, self.path(key, disk["file"]))
        except ScriptRefused as refusal:
            if refusal.code != "unreadable":
                raise
            return View(whole, unopened=refusal.sentence.rpartition(": ")[2])
        try:
            return self._compared(key, disk, Export(socket, target), meter, within)
        finally:
            self.keeper.stop(socket)

    def _compared(
        self, key: str, disk: dict[str, Any], export: Export, meter: Meter, within: Spans | None
    ) -> View:
        digests = self.path(key, disk["digests"]["file"])
        told = meter.of(disk["target"])
        if self.list_wrong(key, disk):
            if within is not None:
                return View([])  # nothing trustworthy to hold these few blocks against
            read = self.prover.content(export, "", told=told)
            if read.root == disk["root"]:
                return View([], root=read.root)
        try:
            read = self.prover.content(export, digests, within=within, told=told)
        except ScriptRefused as refusal:
            if refusal.code not in {"digests", "os"}:
                raise
            return View([[0, disk["virtual_bytes"]]])
        if within is None and not read.bad and read.root != disk["root"]:
            return View([[0, disk["virtual_bytes"]]], root=read.root)
        return View(joined(read.bad), root=read.root)

    def path(self, key: str, file: str) -> str:
        return self.keeper.path_of(self.vm_uuid, key, file)


def _same(found: dict[str, Any], copy: dict[str, Any]) -> bool:
    """Whether the store's manifest is the one that the panel took in. Merging rewrites one, but
    never its content; those of format 1 have nothing that says so but themselves."""
    if "content" in found and "content" in copy:
        return bool(found["content"] == copy["content"])
    return found == copy


def content_fault(of: str, target: str, ranges: Spans, unopened: str) -> Fault:
    what = f"cannot be opened ({unopened})" if unopened else ROTTEN
    return Fault(CONTENT, of, f"{target}.qcow2", what, target, ranges)

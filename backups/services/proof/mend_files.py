"""Mend one generation's own files: its manifest, lists of digests, small files and images."""

from typing import Any

from backups.models import Generation
from backups.rules.copies.faults import CONTENT, Fault
from backups.services.index.generation_reader import GenerationReader
from backups.services.index.meter import Meter
from backups.services.index.record_faults import faults_of
from backups.services.proof.mend_sources import MendSources
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.mender import Mender
from labpanel.jobs.work import Work
from labpanel.lib.byte_spans import spelled
from labpanel.lib.store_format.manifest import DiskEntry, Manifest
from labpanel.lib.store_format.names import MANIFEST


class Mending:
    """What works for one mending."""

    def __init__(
        self, work: Work, mender: Mender, shelf: GenerationReader, sources: MendSources
    ) -> None:
        self.work, self.mender, self.shelf, self.sources = work, mender, shelf, sources

    def generation(self, row: Generation) -> list[str]:
        """Mend what is wrong with its own files; a sentence for each that cannot be."""
        own = [fault for fault in faults_of(row) if fault.of == row.key]
        left: list[str] = []
        for file, disk in _steps(row.manifest, own):
            self.work.check()
            try:
                why = self._file(row, file, disk)
            except ScriptRefused as refusal:
                if refusal.code not in {"damaged", "digests", "nbd", "unreadable", "full"}:
                    raise
                why = refusal.sentence.rstrip(".")
            if why:
                left.append(f"{file} of {row.key} stays as it is: {why}.")
            else:
                self.work.line(f"{file} of {row.key} is mended.")
        return left

    def _file(self, row: Generation, file: str, disk: DiskEntry | None) -> str:
        """Why it cannot be mended, or nothing."""
        uuid, key, mender = str(row.vm_uuid), row.key, self.mender
        if file == MANIFEST:
            mender.put_manifest(uuid, key, row.manifest)
            self.shelf.forget()
        elif disk is None:
            return self._text(row, file)
        elif file == disk.list_file:
            mender.list_again(uuid, key, disk.target, self._alive)
            self.shelf.forget()
        else:
            return self._image(row, disk)
        return ""

    def _text(self, row: Generation, name: str) -> str:
        expected = self.shelf.manifest(row.key).digests_of_files.get(name, "")
        pieces = self.sources.small(name, expected)
        if pieces is None:
            return "no other copy of this VM has the same one"
        self.mender.text(str(row.vm_uuid), row.key, name, pieces)
        return ""

    def _image(self, row: Generation, disk: DiskEntry) -> str:
        uuid, key, target = str(row.vm_uuid), row.key, disk.target
        meter = Meter(self.work, {target: disk.virtual_bytes}, "reading")
        bad = self.shelf.view(key, target, meter).bad
        wanted = self.mender.wanted(uuid, key, target, bad)
        views, lacking = self.sources.views(key, target, wanted)
        if lacking:
            return f"no other copy has {spelled(lacking)} of {target} any more"
        self.mender.image(uuid, key, target, views, self._alive)
        return ""

    def _alive(self, _: dict[str, Any]) -> None:
        self.work.check()


def _steps(manifest: Manifest, own: list[Fault]) -> list[tuple[str, DiskEntry | None]]:
    """The files to mend, with the disk that each is of: the manifest before what it proves, the
    lists before the images."""
    wrong = {fault.file for fault in own}
    rotten = {fault.disk for fault in own if fault.level == CONTENT}
    steps: list[tuple[str, DiskEntry | None]] = []
    if MANIFEST in wrong:
        steps.append((MANIFEST, None))
    steps += [(file.name, None) for file in manifest.files if file.name in wrong]
    steps += [(disk.list_file, disk) for disk in manifest.disks if disk.list_file in wrong]
    steps += [
        (disk.file, disk) for disk in manifest.disks if disk.file in wrong or disk.target in rotten
    ]
    return steps

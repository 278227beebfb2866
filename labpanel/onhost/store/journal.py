"""A change of a VM's generations in a store, under its journal (lib/store_format/journal.py).

The journal exists only while a change is under way. The exclusive lock is held by who works on it;
who finds one without having written it takes it up.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from labpanel.lib.store_format import names
from labpanel.lib.store_format.found import Entry
from labpanel.lib.store_format.journal import MOST_BYTES, JournalFile, Proven, Stage, parse
from labpanel.lib.store_format.manifest import DiskEntry, Manifest
from labpanel.lib.store_format.names import FRESH, JOURNAL, MANIFEST
from labpanel.lib.strict_json import Malformed
from labpanel.onhost.runtime import inside
from labpanel.onhost.runtime.plain import at_most
from labpanel.onhost.runtime.wire import Problem
from labpanel.onhost.store import manifests
from labpanel.onhost.store.manifests import file_name, folders, name, read, sha256, wrong_sizes


class Journal:
    """The journal of one VM's generations; `folder` is where they lie."""

    def __init__(self, folder: Path, says: JournalFile) -> None:
        self.folder = folder
        self._says = says

    @property
    def stage(self) -> Stage:
        return self._says.stage

    @property
    def drop(self) -> Mapping[str, Manifest]:
        return self._says.drop

    @property
    def entries(self) -> Mapping[str, Mapping[str, Proven]]:
        return self._says.entries

    def write(self) -> None:
        inside.put(self.folder / JOURNAL, self._says.written())

    def merging(self) -> None:
        """From here on the dropped generations are none any more."""
        self._says = replace(self._says, stage=Stage.MERGING)
        self.write()
        self.unlist()

    def unlist(self) -> None:
        for key in self.drop:
            inside.remove(self.folder / name(key) / MANIFEST)
            with contextlib.suppress(FileNotFoundError):
                inside.sync_folder(self.folder / key)

    def fresh(self, key: str, file: str) -> Path:
        """Where a new image of a generation's disk is made; what lay there is gone."""
        path = self.folder / name(key) / file_name(names.fresh(file))
        inside.remove(path)
        return path

    def replace(self, key: str, target: str, image: Path, parent: str) -> None:
        """A proven image takes the place of the one that a generation has for a disk."""
        inside.sync(image)
        proven = Proven(
            path=str(image.relative_to(self.folder)),
            parent=parent,
            file_bytes=image.stat().st_size,
            sha256=sha256(image, tell=True),
        )
        of_it = {**self.entries.get(key, {}), target: proven}
        self._says = replace(self._says, entries={**self.entries, key: of_it})
        self.write()
        self._enter(key)

    def enter_all(self) -> None:
        """Bring every entry to its end, as often as it takes."""
        for key in self.entries:
            self._enter(key)

    def _enter(self, key: str) -> None:
        place = self.folder / name(key)
        manifest, wrong = read(place / MANIFEST)
        if manifest is None:
            raise Problem("damaged", f"The {wrong} (generation {key}).")
        for disk in manifest.disks:
            entry = self.entries[key].get(disk.target)
            if entry is not None and inside.has(self.folder / entry.path):
                inside.move(self.folder / entry.path, place / file_name(disk.file))
        manifests.write(place, _entered(manifest, self.entries[key]))

    def close(self) -> None:
        """The change is at its end, or was given up before it took anything away."""
        for place in folders(self.folder):
            for path in place.glob(f"{FRESH}*"):
                inside.remove(path)
        inside.remove(self.folder / JOURNAL)
        inside.sync_folder(self.folder)


def begun(folder: Path) -> Journal | None:
    """The journal that lies there. Raises Problem if it cannot be trusted."""
    path = folder / JOURNAL
    try:
        return Journal(folder, parse(at_most(path, MOST_BYTES), folder.name))
    except FileNotFoundError:
        return None
    except (Malformed, OSError) as error:
        raise Problem(
            "damaged",
            f"{path} is not what was written, so nothing of this VM is changed in this store: "
            "generations that are listed still read as they did. Keep a copy of the folder, remove "
            "the journal, and verify them.",
        ) from error


def _entered(manifest: Manifest, entries: Mapping[str, Proven]) -> Manifest:
    """The manifest with what the entries say of its disks."""

    def entered(disk: DiskEntry) -> DiskEntry:
        entry = entries.get(disk.target)
        return disk if entry is None else entry.entered(disk)

    return manifest.with_disks(tuple(entered(disk) for disk in manifest.disks))


def seen(folder: Path, entries: list[Entry]) -> list[Entry]:
    """A VM's generations (each as manifests.looked_at found it) as its journal explains them: an
    image that has just taken its place is not damage."""
    journal = _readable(folder)
    return [_seen(entry, journal) for entry in entries] if journal else entries


def links(folder: Path) -> list[Entry]:
    """Generations that are none any more while the files of others still back on theirs."""
    journal = _readable(folder)
    if journal is None or journal.stage is not Stage.MERGING:
        return []
    return [Entry(key, folder.name, manifest) for key, manifest in journal.drop.items()]


def manifest_in(folder: Path, key: str) -> tuple[Manifest | None, str]:
    """A generation's manifest as it is now, or None and what is wrong: with the journal's word on
    an image that has just taken its place, and on generations that a change under way drops."""
    found, wrong = read(folder / name(key) / MANIFEST)
    journal = _readable(folder)
    if journal is None:
        return found, wrong
    if journal.stage is Stage.MERGING and key in journal.drop:
        return journal.drop[key], ""
    if found is None:
        return None, wrong
    return _seen(Entry(key, folder.name, found), journal).manifest, ""


def _readable(folder: Path) -> Journal | None:
    try:
        return begun(folder)
    except Problem:
        return None  # who wants to change something is told


def _seen(entry: Entry, journal: Journal) -> Entry:
    entries = journal.entries.get(entry.key, {})
    placed = {
        target: each
        for target, each in entries.items()
        if not os.path.lexists(journal.folder / each.path)
    }
    if not placed or entry.manifest is None:
        return entry
    manifest = _entered(entry.manifest, placed)
    damage = wrong_sizes(journal.folder / entry.key, manifest.disks)
    return Entry(entry.key, entry.vm_uuid, manifest, damage)

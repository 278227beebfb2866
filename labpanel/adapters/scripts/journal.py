"""What a change of a VM's generations in a store has begun, in `<store>/<vm-uuid>/journal.json`.

    stage     "rebuilding": every generation is whole still. "merging": those in `drop` are none any
              more, their manifests live here only, and the change must be brought to its end.
    drop      key → manifest of each generation that goes
    entries   key → target → {"from", "parent", "file_bytes", "sha256"}: a proven image, written
              here before it takes the place of the old one: a kill between the two is taken up

The journal exists only while a change is under way. The exclusive lock is held by who works on it;
who finds one without having written it takes it up.
"""

import copy
import json
from pathlib import Path
from typing import Any

from labpanel.adapters.scripts.manifests import (
    KEY,
    MANIFEST,
    file_name,
    name,
    seal,
    sealed,
    sha256,
    sync,
    write_json,
    wrong_sizes,
)
from labpanel.adapters.scripts.wire import Problem

JOURNAL = "journal.json"
REBUILDING, MERGING = "rebuilding", "merging"
FRESH = "fresh-"  # how the name of an image begins that nothing counts on yet


class Journal:
    """The journal of one VM's generations; `folder` is where they lie."""

    def __init__(self, folder: Path, drop: dict[str, Any], entries: dict[str, Any]) -> None:
        self.folder = folder
        self.stage = REBUILDING
        self.drop = drop
        self.entries = entries

    def write(self) -> None:
        value = {"stage": self.stage, "drop": self.drop, "entries": self.entries}
        write_json(self.folder / JOURNAL, {**value, "seal": seal(value)})

    def merging(self) -> None:
        """From here on the dropped generations are none any more."""
        self.stage = MERGING
        self.write()
        self.unlist()

    def unlist(self) -> None:
        for key in self.drop:
            (self.folder / name(key) / MANIFEST).unlink(missing_ok=True)
            if (self.folder / key).is_dir():
                sync(self.folder / key)

    def fresh(self, key: str, file: str) -> Path:
        """Where a new image of a generation's disk is made; what lay there is gone."""
        path = self.folder / name(key) / file_name(f"{FRESH}{file}")
        path.unlink(missing_ok=True)
        return path

    def replace(self, key: str, target: str, image: Path, parent: str | None) -> None:
        """A proven image takes the place of the one that a generation has for a disk."""
        sync(image)
        entry = {
            "from": str(image.relative_to(self.folder)),
            "parent": parent,
            "file_bytes": image.stat().st_size,
            "sha256": sha256(image, tell=True),
        }
        self.entries.setdefault(key, {})[target] = entry
        self.write()
        self._enter(key)

    def enter_all(self) -> None:
        """Bring every entry to its end, as often as it takes."""
        for key in self.entries:
            self._enter(key)

    def _enter(self, key: str) -> None:
        place = self.folder / name(key)
        manifest = json.loads((place / MANIFEST).read_text("utf-8"))
        for disk in manifest["disks"]:
            entry = self.entries[key].get(disk["target"])
            if entry is not None and (self.folder / entry["from"]).exists():
                (self.folder / entry["from"]).replace(place / file_name(disk["file"]))
                sync(place)
        write_json(place / MANIFEST, sealed(_entered(manifest, self.entries[key])))

    def close(self) -> None:
        """The change is at its end, or was given up before it took anything away."""
        for path in self.folder.glob(f"*/{FRESH}*"):
            if KEY.match(path.parent.name):
                path.unlink()
        (self.folder / JOURNAL).unlink()
        sync(self.folder)


def begun(folder: Path) -> Journal | None:
    """The journal that lies there. Raises Problem if it cannot be trusted."""
    path = folder / JOURNAL
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text("utf-8"))
        if value["seal"] != seal(value):
            raise ValueError("the seal does not fit")
        journal = Journal(folder, value["drop"], value["entries"])
        journal.stage = value["stage"]
    except (ValueError, LookupError, TypeError) as error:
        raise Problem(
            "damaged",
            f"{path} is not what was written, so nothing of this VM is changed in this store: "
            "generations that are listed still read as they did. Keep a copy of the folder, remove "
            "the journal, and verify them.",
        ) from error
    return journal


def _entered(manifest: dict[str, Any], entries: dict[str, Any]) -> dict[str, Any]:
    """The manifest with what the entries say of its disks."""
    changed = copy.deepcopy(manifest)
    for disk in changed["disks"]:
        entry = entries.get(disk["target"], {})
        disk.update({field: entry[field] for field in entry if field != "from"})
    return changed


def seen(folder: Path, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A VM's generations (each as manifests.looked_at found it) as its journal explains them: an
    image that has just taken its place is no damage."""
    journal = _readable(folder)
    return [_seen(entry, journal) for entry in entries] if journal else entries


def links(folder: Path) -> list[dict[str, Any]]:
    """Generations that are none any more while the files of others still back on theirs: `{"key",
    "vm_uuid", "manifest"}` each."""
    journal = _readable(folder)
    if journal is None or journal.stage != MERGING:
        return []
    return [
        {"key": key, "vm_uuid": folder.name, "manifest": manifest}
        for key, manifest in journal.drop.items()
    ]


def _readable(folder: Path) -> Journal | None:
    try:
        return begun(folder)
    except Problem:
        return None  # who wants to change something is told


def _seen(entry: dict[str, Any], journal: Journal) -> dict[str, Any]:
    entries = journal.entries.get(entry["key"], {})
    placed = {
        target: each
        for target, each in entries.items()
        if not (journal.folder / each["from"]).exists()
    }
    if not placed or "manifest" not in entry:
        return entry
    manifest = sealed(_entered(entry["manifest"], placed))
    found = {"key": entry["key"], "vm_uuid": entry["vm_uuid"], "manifest": manifest}
    damage = wrong_sizes(journal.folder / entry["key"], manifest)
    return {**found, "damage": damage} if damage else found

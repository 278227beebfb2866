"""The files of a generation: where they lie, its manifest, and how they are written durably.

A manifest of format 2 carries two digests of itself. `content` stands for what the generation is
(SHA-256 of the canonical JSON of its name, VM, instant and the roots of its disks) and never
changes. `seal` covers everything but itself, so that a flipped byte shows; merging a parent away
rewrites files, and the seal with them. Canonical JSON has sorted keys and no blanks.
"""

import hashlib
import json
import os
import re
import uuid
from pathlib import Path
from typing import Any

from labpanel.adapters.scripts.wire import Problem, say

MANIFEST = "manifest.json"
CHUNK = 1 << 20
REPORT_BYTES = 256 << 20
KEY = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4,12}\Z")
_TARGET = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\Z")


def vm_folder(store: str, vm_uuid: str) -> Path:
    """Where all generations of a VM lie, from a UUID that cannot lead out of the store."""
    try:
        return Path(store) / str(uuid.UUID(vm_uuid))
    except ValueError:
        raise Problem("key", f"{vm_uuid!r} is not a VM's UUID.") from None


def home(store: str, vm_uuid: str, key: str, *, partial: bool = False) -> Path:
    """A generation's directory, from parts that cannot lead out of the store."""
    return vm_folder(store, vm_uuid) / (f".{name(key)}.partial" if partial else name(key))


def name(key: str) -> str:
    """A generation's name, checked."""
    if not KEY.match(key):
        raise Problem("key", f"{key!r} is not the name of a generation.")
    return key


def target_name(target: str) -> str:
    """A virtual disk's name, checked."""
    if not _TARGET.match(target):
        raise Problem("target", f"{target!r} is not the name of a virtual disk.")
    return target


def file_name(file: str) -> str:
    """The name of a small file of a generation, checked."""
    if not _FILE.match(file):
        raise Problem("file", f"{file!r} is not a name for a file of a generation.")
    return file


def content(manifest: dict[str, Any]) -> str:
    """What the generation is, in one digest."""
    disks = [
        {key: disk[key] for key in ("target", "virtual_bytes", "root")}
        for disk in manifest["disks"]
    ]
    facts = {key: manifest[key] for key in ("generation", "taken_at")}
    return _digest({**facts, "vm": manifest["vm"]["uuid"], "disks": disks})


def seal(manifest: dict[str, Any]) -> str:
    """The digest over all of a manifest but its seal."""
    return _digest({key: value for key, value in manifest.items() if key != "seal"})


def sealed(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with both of its digests."""
    whole = {**manifest, "content": content(manifest)}
    return {**whole, "seal": seal(whole)}


def _digest(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def written(value: dict[str, Any]) -> str:
    """The text of a JSON file of ours."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read(path: Path) -> tuple[dict[str, Any] | None, str]:
    """A manifest as it was written, or None and what is wrong with the file."""
    try:
        found = json.loads(path.read_bytes())
        old = found["format"] == 1 and "seal" not in found
        if old or (found["seal"] == seal(found) and found["content"] == content(found)):
            return found, ""
    except FileNotFoundError:
        return None, f"{path.name} is gone"
    except OSError as error:
        return None, f"{path.name} cannot be read: {error.strerror}"
    except (ValueError, LookupError, TypeError):
        pass  # it is not even a manifest any more
    return None, f"{path.name} is not what was written"


def looked_at(place: Path) -> dict[str, Any]:
    """`{"key", "vm_uuid", "manifest" and/or "damage"}` of one manifest.json."""
    entry: dict[str, Any] = {"key": place.parent.name, "vm_uuid": place.parent.parent.name}
    found, damage = read(place)
    if found is None:
        return {**entry, "damage": damage}
    damage = wrong_sizes(place.parent, found)
    return {**entry, "manifest": found, **({"damage": damage} if damage else {})}


def wrong_sizes(folder: Path, manifest: dict[str, Any]) -> str:
    """The last image of a generation that is not as long as its manifest says, in words; or ""."""
    damage = ""
    for disk in manifest["disks"]:
        path, expected = folder / disk["file"], disk["file_bytes"]
        size = path.stat().st_size if path.exists() else -1
        if size != expected:
            what = "is gone" if size < 0 else f"has {size} bytes instead of {expected}"
            damage = f"{path.name} {what}"
    return damage


def note_broken_chains(entries: list[dict[str, Any]]) -> None:
    """Mark every generation of a VM whose images back, at any remove, on one that is not there.
    One whose manifest cannot be read is there: what it backs on itself is not known."""
    mute = {entry["key"] for entry in entries if "manifest" not in entry}
    whole = {entry["key"]: entry["manifest"] for entry in entries if "manifest" in entry}
    parents = {
        (key, disk["target"]): disk.get("parent")
        for key, found in whole.items()
        for disk in found["disks"]
    }
    for entry in entries:
        for target in [target for key, target in parents if key == entry["key"]]:
            at: str | None = entry["key"]
            while at and (at, target) in parents:
                at = parents[at, target]
            if at and at not in mute:
                entry.setdefault("damage", f"{target} backs on generation {at}, which is gone")


def sha256(path: Path, *, tell: bool = False) -> str:
    """Of a whole file; with `tell` it says how far it is."""
    digest, done, told = hashlib.sha256(), 0, 0
    size = path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if tell and done - told >= REPORT_BYTES:
                told = done
                event = {"event": "progress", "disk": path.name}
                say({**event, "done_bytes": done, "total_bytes": size})
    return digest.hexdigest()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write whole or not at all, and durable."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(written(value), "utf-8")
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

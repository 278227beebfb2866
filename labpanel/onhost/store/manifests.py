"""The files of a generation: where they lie, its manifest, and how they are written durably.

What a manifest may say is lib/store_format/reading.py's. Here it is read from a folder that may
hold anything: links, pipes, files without end. Only regular files are opened, no link is followed,
and whatever is wrong with one folder is a sentence on that folder.
"""

import hashlib
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from labpanel.lib.store_format import names
from labpanel.lib.store_format.found import Entry
from labpanel.lib.store_format.manifest import DiskEntry, Manifest, belongs
from labpanel.lib.store_format.names import FILE, KEY, MANIFEST, TARGET
from labpanel.lib.store_format.reading import MOST_BYTES, parse
from labpanel.lib.strict_json import Malformed
from labpanel.onhost.runtime import inside
from labpanel.onhost.runtime.plain import LINK, at_most, reading, refused
from labpanel.onhost.runtime.wire import Problem, say

CHUNK = 1 << 20
REPORT_BYTES = 256 << 20


def vm_folder(store: str, vm_uuid: str) -> Path:
    """Where all generations of a VM lie, from a UUID that cannot lead out of the store."""
    try:
        place = Path(store) / str(uuid.UUID(vm_uuid))
    except ValueError:
        raise Problem("key", f"{vm_uuid!r} is not a VM's UUID.") from None
    return _no_link(place)


def home(store: str, vm_uuid: str, key: str, *, partial: bool = False) -> Path:
    """A generation's directory, from parts that cannot lead out of the store."""
    return _no_link(
        vm_folder(store, vm_uuid) / (names.partial(name(key)) if partial else name(key))
    )


def _no_link(place: Path) -> Path:
    """A link would lead out of the store."""
    if place.is_symlink():
        raise refused(place, LINK)
    return place


def folders(folder: Path) -> Iterator[Path]:
    """The generations of a VM's folder: real directories with the name of one, the oldest first."""
    for place in sorted(folder.iterdir()):
        if KEY.fullmatch(place.name) and place.is_dir() and not place.is_symlink():
            yield place


def name(key: str) -> str:
    """A generation's name, checked."""
    if not KEY.fullmatch(key):
        raise Problem("key", f"{key!r} is not the name of a generation.")
    return key


def target_name(target: str) -> str:
    """A virtual disk's name, checked."""
    if not TARGET.fullmatch(target):
        raise Problem("target", f"{target!r} is not the name of a virtual disk.")
    return target


def file_name(file: str) -> str:
    """The name of a small file of a generation, checked."""
    if not FILE.fullmatch(file):
        raise Problem("file", f"{file!r} is not a name for a file of a generation.")
    return file


def raw(path: Path) -> bytes:
    return at_most(path, MOST_BYTES)


def read(path: Path, store_id: str = "") -> tuple[Manifest | None, str]:
    """The manifest in `<store>/<vm-uuid>/<generation>/manifest.json`, or None and what is wrong
    with the file."""
    try:
        found = parse(raw(path))
    except FileNotFoundError:
        return None, f"{path.name} is gone"
    except OSError as error:
        return None, f"{path.name} cannot be read: {error.strerror}"
    except Malformed as error:
        return None, f"{path.name} is not what was written ({error})"
    place = path.parent
    wrong = belongs(found, key=place.name, vm_uuid=place.parent.name, store_id=store_id)
    return (None, f"{path.name} is another one's: {wrong}") if wrong else (found, "")


def looked_at(place: Path, store_id: str = "") -> Entry:
    """What one manifest.json tells of its generation."""
    key, vm_uuid = place.parent.name, place.parent.parent.name
    found, damage = read(place, store_id)
    if found is not None:
        damage = wrong_sizes(place.parent, found.disks)
    return Entry(key, vm_uuid, found, damage)


def wrong_sizes(folder: Path, disks: Iterable[DiskEntry]) -> str:
    """The last image of a generation that is not as long as its manifest says, in words; or ""."""
    damage = ""
    for disk in disks:
        what = _unlike(folder / disk.file, disk.file_bytes)
        if what:
            damage = f"{disk.file} {what}"
    return damage


def _unlike(path: Path, expected: int) -> str:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    return "" if found.st_size == expected else f"has {found.st_size} bytes instead of {expected}"


def with_broken_chains(entries: Iterable[Entry], links: Iterable[Entry]) -> list[Entry]:
    """The entries, with a mark on every generation of a VM whose images back, at any remove, on one
    that is not there. `links` are generations that are none any more while images back on theirs.
    One whose manifest cannot be read is there: what it backs on itself is not known."""
    listed = list(entries)
    every = [*listed, *links]
    unread = {entry.key for entry in every if entry.manifest is None}
    parents = {
        (entry.key, disk.target): disk.parent
        for entry in every
        if entry.manifest is not None
        for disk in entry.manifest.disks
    }
    return [_chained(entry, parents, unread) for entry in listed]


def _chained(entry: Entry, parents: dict[tuple[str, str], str], unread: set[str]) -> Entry:
    for disk in entry.manifest.disks if entry.manifest and not entry.damage else ():
        at, passed, target = entry.key, set(), disk.target
        while at and at not in passed and (at, target) in parents:
            passed.add(at)
            at = parents[at, target]
        if at in passed:
            return replace(entry, damage=f"{target} backs on itself by way of {at}")
        if at and at not in unread:
            return replace(entry, damage=f"{target} backs on generation {at}, which is gone")
    return entry


def sha256(path: Path, *, tell: bool = False) -> str:
    """Of a whole file; with `tell` it says how far it is."""
    digest, done, told = hashlib.sha256(), 0, 0
    with reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if tell and done - told >= REPORT_BYTES:
                told = done
                event = {"event": "progress", "disk": path.name}
                say({**event, "done_bytes": done, "total_bytes": size})
    return digest.hexdigest()


def write(place: Path, manifest: Manifest) -> None:
    """Write a generation's manifest whole or not at all, and durable; `place` is its folder."""
    inside.put(place / MANIFEST, manifest.written())

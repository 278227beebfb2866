"""What lies in a store that the panel did not put there, and generations that lost their manifest:
named and left alone. Standard library only.
"""

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

from labpanel.lib.store_format import names
from labpanel.lib.store_format.found import Entry
from labpanel.lib.store_format.names import FRESH, JOURNAL, LOCK, MANIFEST, MARKER, NEW, is_uuid
from labpanel.onhost.store.manifests import folders, read

MOST = 100  # names told


def foreign_files(store: str) -> list[str]:
    """Paths below the store of what the panel did not put there; a folder ends with a slash."""
    found = []
    for name in _foreign(Path(store)):
        found.append(name)
        if len(found) == MOST:
            break
    return found


def _foreign(path: Path) -> Iterator[str]:
    for each in sorted(path.iterdir()):
        known = {MARKER, f"{MARKER}{NEW}", *names.SYSTEM_FOLDERS}
        if each.name in known or each.name.startswith(names.PROBE):
            continue
        if each.is_dir() and not each.is_symlink() and is_uuid(each.name):
            with contextlib.suppress(OSError):  # a look names what cannot be read
                yield from [f"{each.name}/{name}" for name in _foreign_of_vm(each)]
        else:
            yield _named(each)


def _foreign_of_vm(folder: Path) -> Iterator[str]:
    for each in sorted(folder.iterdir()):
        if each.name in {LOCK, JOURNAL, f"{JOURNAL}{NEW}"}:
            continue
        is_partial = bool(names.key_of_partial(each.name))
        is_generation = bool(names.KEY.fullmatch(each.name))
        if not each.is_dir() or each.is_symlink() or not (is_partial or is_generation):
            yield _named(each)
        elif is_generation:
            yield from (f"{each.name}/{name}" for name in _foreign_of_generation(each))


def _foreign_of_generation(place: Path) -> Iterator[str]:
    """What its manifest does not name. Without one nothing can be told apart."""
    found, _ = read(place / MANIFEST)
    if found is None:
        return
    known = {MANIFEST, f"{MANIFEST}{NEW}", *(file.name for file in found.files)}
    for disk in found.disks:
        known |= {disk.file, disk.list_file}
    for each in sorted(place.iterdir()):
        if each.name not in known and not each.name.startswith(FRESH):
            yield _named(each)


def _named(path: Path) -> str:
    """Names may be bytes that are no UTF-8: then as Python writes them out."""
    name = path.name.encode("utf-8", "backslashreplace").decode()
    return f"{name}/" if path.is_dir() and not path.is_symlink() else name


def lost_manifests(folder: Path) -> Iterator[Entry]:
    """Generations whose manifest is gone while the rest lies there."""
    with_one = {place.name for place in folders(folder) if lies(place / MANIFEST)}
    for key in without_manifest(folder, with_one):
        yield Entry(key, folder.name, None, f"{MANIFEST} is gone")


def without_manifest(folder: Path, listed: Collection[str]) -> list[str]:
    """Keys below a VM's folder that hold disks and are not among those that say what they are."""
    return [
        place.name
        for place in folders(folder)
        if place.name not in listed and [*place.glob("*.digests"), *place.glob("*.qcow2")]
    ]


def lies(path: Path) -> bool:
    """Whether anything has this name, a link into nothing too."""
    return path.is_symlink() or path.exists()

"""The images of generations in a store, opened as their manifests say. Standard library only.

An image may back on exactly one file: that of the same disk in the parent generation which its
manifest names, `../<parent>/<target>.qcow2`, or on none. Folders and files that are links, other
names, formats, data files, encryption: all that is refused before QEMU sees the image. A store may
be a disk that others write to, and QEMU here may read any file of this machine.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from labpanel.lib.store_format import names
from labpanel.onhost.images.layers import MOST_LAYERS, Layer, Stack, push
from labpanel.onhost.runtime import plain
from labpanel.onhost.runtime.wire import Problem
from labpanel.onhost.store import journal, manifests

Parents = Mapping[str, Optional[str]]


def located(store: str, path: str, ending: str, *, partial: bool = False) -> tuple[Path, str, str]:
    """(VM's folder, generation, target) of a path `<store>/<uuid>/<generation>/<target><ending>`,
    each part checked."""
    parts = path.removeprefix(f"{store}/").split("/")
    if len(parts) != 3 or not path.startswith(f"{store}/") or not parts[2].endswith(ending):
        raise Problem("path", f"{path!r} is not a file of a generation of {store}.")
    vm_uuid, place, file = parts
    key = names.key_of_partial(place) if partial else place
    home = manifests.home(store, vm_uuid, key, partial=partial)
    if home.name != place or not names.is_uuid(vm_uuid):
        raise Problem("path", f"{path!r} is not a file of a generation of {store}.")
    return home.parent, key, manifests.target_name(file.removesuffix(ending))


def chain(folder: Path, key: str, target: str, known: Parents | None = None) -> list[str]:
    """The generations whose images a disk of one is read from, itself first. `known` says what the
    panel knows of those whose manifest cannot be read any more."""
    found: list[str] = []
    at: str | None = manifests.name(key)
    while at:
        if at in found or len(found) == MOST_LAYERS:
            what = "backs on itself" if at in found else f"has more than {MOST_LAYERS} images"
            raise Problem("unreadable", f"{target} of {key} cannot be opened: its chain {what}")
        found.append(manifests.name(at))
        at = _parent(folder, at, target, known or {})
    return found


def _parent(folder: Path, key: str, target: str, known: Parents) -> str | None:
    manifest, wrong = journal.manifest_in(folder, key)
    if manifest is None:
        if key in known:
            return known[key]
        raise Problem(
            "unreadable", f"{target} of {key} cannot be opened: {wrong or 'it has no manifest'}"
        )
    disk = manifest.disk(target)
    if disk is None:
        raise Problem("unreadable", f"{target} of {key} cannot be opened: its manifest has none")
    return disk.parent or None


def opened(folder: Path, key: str, target: str, known: Parents | None = None) -> Stack:
    """A disk of a generation, every layer open and looked at. Raises Problem ("unreadable")."""
    keys = chain(folder, key, target, known)
    return stack(folder, [(one, names.image(manifests.target_name(target))) for one in keys])


def over(folder: Path, first: tuple[str, str], parent: str, target: str) -> Stack:
    """The same with an image (generation, file name) on top that no manifest names yet."""
    keys = chain(folder, parent, target) if parent else []
    return stack(folder, [first, *((one, names.image(target)) for one in keys)])


def stack(folder: Path, files: Sequence[tuple[str, str]]) -> Stack:
    """Images by (generation, file name), topmost first, each backing on the next and the last on
    nothing. Raises Problem ("unreadable") with nothing left open."""
    found = Stack([])
    vm = _folder(folder)
    try:
        for number, (key, file) in enumerate(files):
            path = folder / manifests.name(key) / manifests.file_name(file)
            header = push(found, Layer(_file(path, vm), str(path), "qcow2"))
            below = files[number + 1] if number + 1 < len(files) else None
            wanted = f"../{below[0]}/{below[1]}" if below else ""
            image_format = header.backing_format if wanted else "qcow2"
            if header.backing_file != wanted or image_format != "qcow2":
                said = f"{header.backing_file!r}" if header.backing_file else "nothing"
                raise plain.refused(
                    path,
                    f"it is based on {said}, and its manifest says on {wanted or 'nothing'}",
                )
    except BaseException:
        found.close()
        raise
    finally:
        os.close(vm)
    return found


def _folder(path: Path, within: int | None = None) -> int:
    try:
        return plain.folder(path, within)
    except OSError as error:
        raise plain.refused(path, error) from None


def _file(path: Path, vm: int) -> int:
    place = _folder(path.parent, vm)
    try:
        return plain.opened(path, place)
    except OSError as error:
        raise plain.refused(path, error) from None
    finally:
        os.close(place)

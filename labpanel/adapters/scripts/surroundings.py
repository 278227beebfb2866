"""What marks a directory as a store, and what lies in it that is not ours: named and left alone.

    <store>/labpanel-store.json     format, store_id, panel_id, seal

A directory without its marker is no store, however it came to that: an unmounted disk leaves an
empty mount point, and writing there would fill the disk below. Standard library only.
"""

import json
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from labpanel.adapters.scripts.journal import JOURNAL
from labpanel.adapters.scripts.locks import LOCK
from labpanel.adapters.scripts.manifests import KEY, MANIFEST, read, seal, write_json, written
from labpanel.adapters.scripts.wire import Problem

MARKER = "labpanel-store.json"
FORMAT = 1
MOST = 100  # names of strangers told
_KNOWN = {"format", "store_id", "panel_id", "seal"}
_SYSTEM = {"lost+found"}  # every ext4 has one


def checked_marker(store: str, panel_id: str, store_id: str = "") -> dict[str, Any]:
    """The marker of an existing store, if it is ours and the one that was meant."""
    path = Path(store)
    if not path.is_dir():
        raise Problem("missing", f"{store} does not exist or is not a directory.")
    marker = _read(path)
    if marker.get("format") != FORMAT:
        raise Problem("format", f"{store} was written by another version of labpanel.")
    if marker.get("panel_id") != panel_id:
        raise Problem("foreign", f"{store} is used by another panel; this one leaves it alone.")
    if store_id and marker.get("store_id") != store_id:
        raise Problem(
            "swapped",
            f"{store} holds another store than the one that was added: look which disk is "
            "mounted there.",
        )
    return marker


def _read(path: Path) -> dict[str, Any]:
    try:
        text = (path / MARKER).read_bytes()
    except FileNotFoundError:
        raise _unmarked(path) from None
    try:
        marker = json.loads(text)
        if marker.keys() <= _KNOWN and _holds(marker, text):
            return dict(marker)
    except (ValueError, AttributeError):
        pass  # it is no marker any more
    raise Problem("damaged", f"{path}/{MARKER} is damaged: it is not what was written.")


def _holds(marker: dict[str, Any], text: bytes) -> bool:
    """Markers had no seal at first; with one, every byte follows from what the marker says."""
    if "seal" not in marker:
        return True
    return bool(marker["seal"] == seal(marker) and written(marker).encode() == text)


def _unmarked(path: Path) -> Problem:
    if any(path.iterdir()):
        return Problem("not-a-store", f"{path} is not a store (any more): {MARKER} is gone.")
    return Problem(
        "not-a-store", f"{path} is empty: mount what should be mounted there, and look again."
    )


def write_marker(path: Path, panel_id: str, store_id: str = "") -> dict[str, Any]:
    """Mark a directory as this panel's store; a new one unless `store_id` says which."""
    marker = {
        "format": FORMAT,
        "store_id": store_id or str(uuid.uuid4()),
        "panel_id": panel_id,
    }
    marker["seal"] = seal(marker)
    write_json(path / MARKER, marker)
    return marker


def mark_again(store: str, panel_id: str, store_id: str) -> bool:
    """Write a lost or damaged marker anew, if the sealed manifest of a generation proves that this
    is the store that was meant; whether it did."""
    path = Path(store)
    for place in sorted(path.glob(f"*/*/{MANIFEST}")):
        found, _ = read(place)
        if found and (found.get("panel_id"), found.get("store_id")) == (panel_id, store_id):
            write_marker(path, panel_id, store_id)
            return True
    return False


def strangers(store: str) -> list[str]:
    """Paths below the store of what the panel did not put there; a folder ends with a slash."""
    found = []
    for name in _strange(Path(store)):
        found.append(name)
        if len(found) == MOST:
            break
    return found


def _strange(path: Path) -> Iterator[str]:
    for each in sorted(path.iterdir()):
        if each.name in {MARKER, f"{MARKER}.new", *_SYSTEM} or each.name.startswith(".labpanel-"):
            continue
        if each.is_dir() and _is_uuid(each.name):
            yield from (f"{each.name}/{name}" for name in _strange_of_vm(each))
        else:
            yield _named(each)


def _strange_of_vm(folder: Path) -> Iterator[str]:
    for each in sorted(folder.iterdir()):
        if each.name in {LOCK, JOURNAL, f"{JOURNAL}.new"}:
            continue
        is_partial = each.name.startswith(".") and each.name.endswith(".partial")
        key = each.name[1:-8] if is_partial else each.name
        if not each.is_dir() or not KEY.match(key):
            yield _named(each)
        elif not is_partial:
            yield from (f"{each.name}/{name}" for name in _strange_of_generation(each))


def _strange_of_generation(place: Path) -> Iterator[str]:
    """What its manifest does not name. Without one nothing can be told apart."""
    found, _ = read(place / MANIFEST)
    if found is None:
        return
    known = {MANIFEST, f"{MANIFEST}.new", *found["files"]}
    for disk in found["disks"]:
        known |= {disk["file"], disk["digests"]["file"]}
    for each in sorted(place.iterdir()):
        if each.name not in known and not each.name.startswith("fresh-"):
            yield _named(each)


def _named(path: Path) -> str:
    """Names may be bytes that are no UTF-8: then as Python writes them out."""
    name = path.name.encode("utf-8", "backslashreplace").decode()
    return f"{name}/" if path.is_dir() and not path.is_symlink() else name


def _is_uuid(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def lost_manifests(folder: Path) -> Iterator[dict[str, Any]]:
    """Generations whose manifest is gone while the rest lies there."""
    with_one = {place.parent.name for place in folder.glob(f"*/{MANIFEST}")}
    for key in mute(folder, with_one):
        yield {"key": key, "vm_uuid": folder.name, "damage": f"{MANIFEST} is gone"}


def mute(folder: Path, listed: Collection[str]) -> list[str]:
    """Keys below a VM's folder that hold disks and are not among those that say what they are."""
    return [
        place.name
        for place in sorted(folder.glob("*/"))
        if KEY.match(place.name)
        and place.name not in listed
        and [*place.glob("*.digests"), *place.glob("*.qcow2")]
    ]

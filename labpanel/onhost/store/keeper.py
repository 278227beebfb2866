"""Minds a store: the directory on some machine in which generations lie. Standard library only.

What lies where is in lib/store_format/names.py. Nothing is deleted but partial generations of our
own panel. Paths are built from UUIDs and generation names that are checked first, never from a VM's
name.
"""

import json
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from labpanel.lib.store_format import names
from labpanel.lib.store_format.found import Entry
from labpanel.lib.store_format.marker import Marker
from labpanel.lib.store_format.names import MANIFEST, MARKER
from labpanel.lib.store_format.spelling import Json
from labpanel.onhost.images import exporter, layers
from labpanel.onhost.looks import new_folder
from labpanel.onhost.runtime.plain import at_most
from labpanel.onhost.runtime.wire import Problem, say, serve
from labpanel.onhost.store import asked, filling, journal, locks, small_files, stored
from labpanel.onhost.store.foreign_files import foreign_files, lies, lost_manifests
from labpanel.onhost.store.manifests import (
    file_name,
    folders,
    home,
    looked_at,
    read,
    sha256,
    with_broken_chains,
)
from labpanel.onhost.store.store_marker import (
    checked_marker,
    mark_again,
    own_store_id,
    vm_folders,
    write_marker,
)

MOST_TEXT = 4 << 20  # bytes of a small file of a generation
MOST_TOLD = 16 << 20  # bytes of all manifests of a store
MOST_VALUES, MOST_AT_ONCE = 100_000, 500  # JSON values in one event, and generations
MOST_LISTED = 10_000


def init(
    store: str,
    panel_id: str,
    *,
    take_over: bool = False,
    make: bool = False,
    mounts: Sequence[str] = (),
) -> Json:
    """Make a directory a store, or open the store that it is. With `make` the directory may be
    missing (see new_folder.py); `mounts` are mount points that were seen here before."""
    path = Path(store)
    if not path.is_absolute():
        raise Problem("path", f"{store} is not an absolute path.")
    made = new_folder.make(store, mounts) if make else new_folder.Made()
    try:
        marker = _opened(store, panel_id, take_over=take_over)
        return {**marker.as_json(), **exporter.room(store), "made": made.paths}
    except BaseException:
        made.undo()
        raise
    finally:
        made.close()


def _opened(store: str, panel_id: str, *, take_over: bool) -> Marker:
    path = Path(store)
    if not path.is_dir():
        raise Problem("missing", f"{store} does not exist or is not a directory.")
    _prove_writable(path)
    if (path / MARKER).exists():
        if take_over:
            write_marker(path, panel_id, own_store_id(path))
        return checked_marker(store, panel_id)
    return write_marker(path, panel_id)


def _prove_writable(path: Path) -> None:
    """Write, sync and remove a file: permission bits alone say little (root, read-only mounts)."""
    probe = path / f"{names.PROBE}{uuid.uuid4().hex}"
    try:
        with probe.open("xb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        code = "full" if error.errno in {28, 122} else "not-writable"
        word = "is full" if code == "full" else f"cannot be written to ({error.strerror})"
        raise Problem(code, f"{path} {word}.") from None
    finally:
        probe.unlink(missing_ok=True)


def look(store: str, panel_id: str, store_id: str) -> Json:
    """Room, `partials`, in `pruned` the keys of generations that are none any more, what is not
    ours, and in `unread` the VMs whose folder cannot be looked into: `{"vm_uuid", "damage"}`.
    Every generation is told before, in events: each with `{"manifest"}` and/or `{"damage"}`."""
    found = seen(store, panel_id, store_id)
    told = Telling()
    for entry in found.generations:
        told.one(entry)
    told.flush()
    return {
        **exporter.room(store),
        "read_only": bool(os.statvfs(store).f_flag & os.ST_RDONLY),
        "strangers": foreign_files(store),
        "partials": found.partials[:MOST_LISTED],
        "pruned": found.pruned[:MOST_LISTED],
        "unread": found.unread[:MOST_LISTED],
    }


@dataclass(frozen=True)
class StoreContents:
    """All that lies in the folders of a store's VMs."""

    generations: list[Entry]
    partials: list[dict[str, str]]
    pruned: list[str]
    unread: list[dict[str, str]]


def seen(store: str, panel_id: str, store_id: str) -> StoreContents:
    checked_marker(store, panel_id, store_id)
    found = StoreContents([], [], [], [])
    for folder in vm_folders(Path(store)):
        try:
            found.partials.extend(_partials(folder))  # they go whatever else is wrong here
            entries, going = _look_at_one(folder, store_id)
        except OSError as error:
            damage = f"its folder cannot be read: {error.strerror}"
            found.unread.append({"vm_uuid": folder.name, "damage": damage})
            continue
        found.pruned.extend(going)
        found.generations.extend(entries)
    return found


class Telling:
    """Tells the panel of generations some at a time, so that neither the lines hold too much nor
    the events are too many, and of no more than the panel can hold."""

    def __init__(self) -> None:
        self._bytes = 0
        self._waiting: list[Json] = []
        self._values = 0

    def one(self, entry: Entry) -> None:
        said = entry.as_json()
        text = json.dumps(said)
        values = sum(text.count(sign) for sign in ",[{")  # as the panel counts them (safe_json.py)
        large = self._bytes + len(text) > MOST_TOLD or values > MOST_VALUES
        if entry.manifest is not None and large:
            what = "it holds" if values > MOST_VALUES else "all of this store hold"
            damage = f"{MANIFEST} is not looked at: {what} too much"
            said = replace(entry, manifest=None, damage=damage).as_json()
            text, values = "", 0
        self._bytes += len(text)
        if self._values + values > MOST_VALUES or len(self._waiting) == MOST_AT_ONCE:
            self.flush()
        self._waiting.append(said)
        self._values += values

    def flush(self) -> None:
        if self._waiting:
            say({"event": "generations", "generations": self._waiting})
        self._waiting, self._values = [], 0


def _partials(folder: Path) -> list[dict[str, str]]:
    keys = [names.key_of_partial(place.name) for place in sorted(folder.iterdir())]
    return [{"key": key, "vm_uuid": folder.name} for key in keys if key]


def _look_at_one(folder: Path, store_id: str) -> tuple[list[Entry], list[str]]:
    """One VM's generations, and the keys of those that a change under way has dropped."""
    places = [place / MANIFEST for place in folders(folder)]
    listed = [looked_at(place, store_id) for place in places if lies(place)]
    found = journal.seen(folder, listed)
    links = journal.links(folder)
    going = [entry.key for entry in links]
    found += [entry for entry in lost_manifests(folder) if entry.key not in going]
    return with_broken_chains(found, links), going


def begin(
    store: str, panel_id: str, store_id: str, vm_uuid: str, key: str, disks: object
) -> dict[str, dict[str, str]]:
    """Make the partial generation in a store that is ours (see filling.py); by target, the fields
    of a BegunDisk. `disks` are those of AskedDisk."""
    checked_marker(store, panel_id, store_id)
    begun = filling.begin(store, panel_id, vm_uuid, key, asked.disks(disks))
    return {target: asdict(disk) for target, disk in begun.items()}


def finish(
    store: str,
    vm_uuid: str,
    key: str,
    manifest: object,
    files: dict[str, str],
    lying: Sequence[str] = (),
) -> Json:
    """filling.finish, of what manifest.json shall hold but for what it adds, to what it holds."""
    whole = asked.manifest(manifest, key)
    return filling.finish(store, vm_uuid, key, whole, files, lying).as_json()


def publish(store: str, vm_uuid: str, key: str, manifest: object) -> Json:
    """filling.publish, of what manifest.json shall hold."""
    return filling.publish(store, vm_uuid, key, asked.manifest(manifest, key)).as_json()


def sign(store: str, vm_uuid: str, key: str, signature: object, identity: str) -> Json:
    """filling.sign, of the fields of a Signature."""
    return filling.sign(store, vm_uuid, key, asked.signature(signature), identity).as_json()


def lock(store: str, panel_id: str, store_id: str, vm_uuid: str, *, exclusive: bool) -> None:
    """Take a VM's lock in a store that is ours (see locks.py): nothing is written elsewhere."""
    checked_marker(store, panel_id, store_id)
    locks.lock(store, vm_uuid, exclusive=exclusive)


def drop(store: str, vm_uuid: str, key: str, panel_id: str, *, known: bool = False) -> bool:
    """Remove a partial generation of ours; True if there was one. `known`: the panel began it."""
    dropped = filling.drop(store, vm_uuid, key, panel_id, known=known)
    if dropped:
        locks.leave_no_trace(store, vm_uuid)
    return dropped


def manifest(store: str, vm_uuid: str, key: str) -> Json | None:
    """A complete generation's manifest, or None if there is none that can be read."""
    found, _ = read(home(store, vm_uuid, key) / MANIFEST)
    return found.as_json() if found else None


def read_text(store: str, vm_uuid: str, key: str, name: str) -> str:
    """A small file of a generation; hexadecimal digits after "hex:" unless it is text."""
    try:
        content = at_most(home(store, vm_uuid, key) / file_name(name), MOST_TEXT)
    except FileNotFoundError:
        raise Problem("damaged", f"{name} of generation {key} is gone.") from None
    except OSError as error:
        what = f"{name} of generation {key} cannot be read: {error.strerror}."
        raise Problem("damaged", what) from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return "hex:" + content.hex()


def rehash(store: str, vm_uuid: str, key: str, files: dict[str, str]) -> list[str]:
    """Level 1: read every file again; sentences on those that are not what was written."""
    place = home(store, vm_uuid, key)
    wrong = []
    for name, expected in files.items():
        try:
            if sha256(place / file_name(name), tell=True) != expected:
                wrong.append(f"{name} is not what was written")
        except FileNotFoundError:
            wrong.append(f"{name} is gone")
        except OSError as error:
            wrong.append(f"{name} cannot be read: {error.strerror}")
    return wrong


def serve_image(store: str, name: str, path: str, known: dict[str, str | None]) -> str:
    """Export a disk of a generation for reading, its chain opened as the manifests say (see
    stored.py); `known` has the parents of generations whose manifest may be unreadable."""
    folder, key, target = stored.located(store, path, ".qcow2")
    stack = stored.opened(folder, key, target, known)
    return exporter.serve_stack(name, stack, writable=False)


def serve_list(store: str, name: str, path: str) -> str:
    """Export a generation's list of digests for reading."""
    stored.located(store, path, ".digests")
    return exporter.serve_stack(name, layers.inner(Path(path), "raw"), writable=False)


def serve_bytes(store: str, name: str, path: str) -> str:
    """Export the bytes of an image or list of a generation in progress, to be filled."""
    stored.located(store, path, Path(path).suffix, partial=True)
    return exporter.serve_stack(name, layers.inner(Path(path), "raw"), writable=True)


def content_bytes(store: str, path: str, known: dict[str, str | None]) -> int:
    """Bytes that a disk of a generation needs as an image of its own: data and metadata, not the
    holes (`qemu-img measure`)."""
    folder, key, target = stored.located(store, path, ".qcow2")
    with stored.opened(folder, key, target, known) as stack:
        words = ["qemu-img", "measure", "-U", "--output=json", "-O", "qcow2"]
        what = f"{path} cannot be opened"
        return int(json.loads(layers.tool(words, stack, code="unreadable", what=what))["required"])


VERBS: dict[str, Callable[..., Any]] = {
    **exporter.VERBS,
    "serve": serve_image,
    "serve_list": serve_list,
    "serve_bytes": serve_bytes,
    "content_bytes": content_bytes,
    "init": init,
    "look": look,
    "mark_again": mark_again,
    "begin": begin,
    "lock": lock,
    "finish": finish,
    "publish": publish,
    "sign": sign,
    "drop": drop,
    "write_piece": small_files.write_piece,
    "borrow": small_files.borrow,
    "measure": small_files.measure,
    "read_piece": small_files.read_piece,
    "manifest": manifest,
    "read_text": read_text,
    "rehash": rehash,
}


def main() -> None:
    serve(VERBS)

"""Minds a store: the directory on some machine in which generations lie. Standard library only.

    <store>/labpanel-store.json                  marker: format, store_id, panel_id
    <store>/<vm-uuid>/<generation>/              manifest.json last; its presence means complete
    <store>/<vm-uuid>/.<generation>.partial/     in progress: nothing was promised
    <store>/<vm-uuid>/.lock                      who works on this VM's generations (locks.py)

Nothing is deleted but partial generations of our own panel. Paths are built from UUIDs and
generation names that are checked first, never from a VM's name.
"""

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.adapters.scripts import exporter, filling, journal, locks
from labpanel.adapters.scripts.manifests import (
    KEY,
    MANIFEST,
    file_name,
    home,
    looked_at,
    note_broken_chains,
    sha256,
)
from labpanel.adapters.scripts.surroundings import (
    MARKER,
    checked_marker,
    lost_manifests,
    mark_again,
    strangers,
    write_marker,
)
from labpanel.adapters.scripts.wire import Problem, serve


def init(store: str, panel_id: str, *, take_over: bool = False) -> dict[str, Any]:
    """Make an existing directory a store, or open the store that it is."""
    path = Path(store)
    if not path.is_absolute():
        raise Problem("path", f"{store} is not an absolute path.")
    if not path.is_dir():
        raise Problem("missing", f"{store} does not exist or is not a directory.")
    _prove_writable(path)
    if (path / MARKER).exists():
        if take_over:
            old = json.loads((path / MARKER).read_text("utf-8"))
            write_marker(path, panel_id, old["store_id"])
        marker = checked_marker(store, panel_id)
    else:
        marker = write_marker(path, panel_id)
    return {**marker, **exporter.room(store)}


def _prove_writable(path: Path) -> None:
    """Write, sync and remove a file: permission bits alone say little (root, read-only mounts)."""
    probe = path / f".labpanel-{uuid.uuid4().hex}"
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


def look(store: str, panel_id: str, store_id: str) -> dict[str, Any]:
    """Room, the manifest of every complete generation: `{"manifest"}` or `{"damage"}`, `partials`,
    in `pruned` the keys of generations that are none any more, and what is not ours."""
    checked_marker(store, panel_id, store_id)
    found, pruned = [], []
    for folder in sorted(path for path in Path(store).iterdir() if path.is_dir()):
        of_one, going = _look_at_one(folder)
        found += of_one
        pruned += going
    partials = [
        {"key": place.name[1:-8], "vm_uuid": place.parent.name}
        for place in sorted(Path(store).glob("*/.*.partial"))
        if KEY.match(place.name[1:-8])
    ]
    return {
        **exporter.room(store),
        "read_only": bool(os.statvfs(store).f_flag & os.ST_RDONLY),
        "strangers": strangers(store),
        "generations": found,
        "partials": partials,
        "pruned": pruned,
    }


def _look_at_one(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """One VM's generations, and the keys of those that a change under way has dropped."""
    found = journal.seen(
        folder,
        [
            looked_at(place)
            for place in sorted(folder.glob(f"*/{MANIFEST}"))
            if KEY.match(place.parent.name)
        ],
    )
    links = journal.links(folder)
    going = {entry["key"] for entry in links}
    found += [entry for entry in lost_manifests(folder) if entry["key"] not in going]
    note_broken_chains([*found, *links])
    return found, [entry["key"] for entry in links]


def begin(
    store: str, panel_id: str, store_id: str, vm_uuid: str, key: str, disks: list[dict[str, Any]]
) -> Any:
    """Make the partial generation in a store that is ours (see filling.py)."""
    checked_marker(store, panel_id, store_id)
    return filling.begin(store, panel_id, vm_uuid, key, disks)


def lock(store: str, panel_id: str, store_id: str, vm_uuid: str, *, exclusive: bool) -> None:
    """Take a VM's lock in a store that is ours (see locks.py): nothing is written elsewhere."""
    checked_marker(store, panel_id, store_id)
    locks.lock(store, vm_uuid, exclusive=exclusive)


def drop(store: str, vm_uuid: str, key: str, panel_id: str) -> bool:
    """Remove a partial generation of ours; True if there was one."""
    dropped = filling.drop(store, vm_uuid, key, panel_id)
    if dropped:
        locks.leave_no_trace(store, vm_uuid)
    return dropped


def manifest(store: str, vm_uuid: str, key: str) -> dict[str, Any] | None:
    """A complete generation's manifest, or None."""
    path = home(store, vm_uuid, key) / MANIFEST
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def read_text(store: str, vm_uuid: str, key: str, name: str) -> str:
    """A small file of a generation; hexadecimal digits after "hex:" unless it is text."""
    try:
        content = (home(store, vm_uuid, key) / file_name(name)).read_bytes()
    except FileNotFoundError:
        raise Problem("damaged", f"{name} of generation {key} is gone.") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return "hex:" + content.hex()


def rehash(store: str, vm_uuid: str, key: str, files: dict[str, str]) -> list[str]:
    """Level 1: read every file again; sentences on those that are not what was written."""
    place = home(store, vm_uuid, key)
    wrong = []
    for name, expected in files.items():
        path = place / name
        if not path.exists():
            wrong.append(f"{name} is gone")
        elif sha256(path, tell=True) != expected:
            wrong.append(f"{name} is not what was written")
    return wrong


VERBS: dict[str, Callable[..., Any]] = {
    **exporter.VERBS,
    "init": init,
    "look": look,
    "mark_again": mark_again,
    "begin": begin,
    "lock": lock,
    "finish": filling.finish,
    "drop": drop,
    "manifest": manifest,
    "read_text": read_text,
    "rehash": rehash,
}


def main() -> None:
    serve(VERBS)

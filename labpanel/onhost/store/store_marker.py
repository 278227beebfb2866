"""What marks a directory as a store, and the folders of VMs in it.

A directory without its marker is not a store, however it came to that: an unmounted disk leaves an
empty mount point, and writing there would fill the disk below. Standard library only.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

from labpanel.lib.store_format.marker import FORMAT, MOST_BYTES, Marker, parse
from labpanel.lib.store_format.names import MANIFEST, MARKER, is_uuid
from labpanel.lib.strict_json import Malformed
from labpanel.onhost.runtime import inside
from labpanel.onhost.runtime.plain import at_most
from labpanel.onhost.runtime.wire import Problem
from labpanel.onhost.store.manifests import folders, read


def checked_marker(store: str, panel_id: str, store_id: str = "") -> Marker:
    """The marker of an existing store, if it is ours and the one that was meant."""
    path = Path(store)
    if not path.is_dir():
        raise Problem("missing", f"{store} does not exist or is not a directory.")
    marker = _read(path)
    if marker.format != FORMAT:
        raise Problem("format", f"{store} was written by another version of labpanel.")
    if marker.panel_id != panel_id:
        raise Problem("foreign", f"{store} is used by another panel; this one leaves it alone.")
    if store_id and marker.store_id != store_id:
        raise Problem(
            "swapped",
            f"{store} holds another store than the one that was added: look which disk is "
            "mounted there.",
        )
    return marker


def _read(path: Path) -> Marker:
    try:
        return parse(at_most(path / MARKER, MOST_BYTES))
    except FileNotFoundError:
        raise _unmarked(path) from None
    except (Malformed, OSError):
        what = f"{path}/{MARKER} is damaged: it is not what was written."
        raise Problem("damaged", what) from None


def own_store_id(path: Path) -> str:
    """The ID in the marker of a store, of whichever panel."""
    marker = _read(path)
    if not marker.store_id:
        raise Problem("damaged", f"{path}/{MARKER} is damaged: it names no store.")
    return marker.store_id


def _unmarked(path: Path) -> Problem:
    if any(path.iterdir()):
        return Problem("not-a-store", f"{path} is not a store (any more): {MARKER} is gone.")
    return Problem(
        "not-a-store", f"{path} is empty: mount what should be mounted there, and look again."
    )


def write_marker(path: Path, panel_id: str, store_id: str = "") -> Marker:
    """Mark a directory as this panel's store; a new one unless `store_id` says which."""
    marker = Marker(store_id=store_id or str(uuid.uuid4()), panel_id=panel_id)
    inside.put(path / MARKER, marker.written())
    return marker


def mark_again(store: str, panel_id: str, store_id: str) -> bool:
    """Write a lost or damaged marker anew, if the sealed manifest of a generation proves that this
    is the store that was meant; whether it did."""
    path = Path(store)
    for folder in vm_folders(path):
        for place in folders(folder):
            found, _ = read(place / MANIFEST, store_id)
            if found is not None and found.panel_id == panel_id:
                write_marker(path, panel_id, store_id)
                return True
    return False


def vm_folders(path: Path) -> Iterator[Path]:
    """Where VMs' generations lie: real directories that are named by a UUID."""
    for folder in sorted(path.iterdir()):
        if is_uuid(folder.name) and folder.is_dir() and not folder.is_symlink():
            yield folder

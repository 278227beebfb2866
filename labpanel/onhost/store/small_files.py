"""The files of a generation that are no disks, piece by piece: a kernel or an initrd is longer than
a message. Standard library only."""

import os
from typing import BinaryIO

from labpanel.lib.kept_files import PIECE
from labpanel.lib.store_format import names
from labpanel.onhost.runtime import inside
from labpanel.onhost.runtime.plain import reading
from labpanel.onhost.runtime.wire import Problem
from labpanel.onhost.store.manifests import file_name, home, sha256


def write_piece(store: str, vm_uuid: str, key: str, name: str, offset: int, content: str) -> None:
    """Of a generation under way; its first piece makes the file."""
    path = home(store, vm_uuid, key, partial=True) / file_name(name)
    inside.write_at(path, offset, bytes.fromhex(content))


def borrow(store: str, vm_uuid: str, key: str, name: str, of: str, digest: str) -> bool:
    """Give the file of another generation to the one under way too, as a hard link, if it is that
    one and the file system has such; whether it was done. A mending makes a file of its own."""
    path = home(store, vm_uuid, of) / file_name(name)
    try:
        if sha256(path) != digest:
            return False
        inside.link(path, home(store, vm_uuid, key, partial=True) / name)
    except OSError:
        return False
    return True


def measure(store: str, vm_uuid: str, key: str, names: list[str]) -> dict[str, int]:
    """Bytes of files of a generation."""
    found = {}
    for name in names:
        with _opened(store, vm_uuid, key, name) as file:
            found[name] = os.fstat(file.fileno()).st_size
    return found


def read_piece(store: str, vm_uuid: str, key: str, name: str, offset: int) -> str:
    """At most PIECE bytes of a file of a complete generation, as hexadecimal digits."""
    with _opened(store, vm_uuid, key, name) as file:
        return os.pread(file.fileno(), PIECE, offset).hex()


def _opened(store: str, vm_uuid: str, key: str, name: str) -> BinaryIO:
    path = home(store, vm_uuid, key) / file_name(name)
    try:
        return reading(path)
    except FileNotFoundError:
        raise Problem("damaged", f"{name} of generation {key} is gone.") from None
    except OSError as error:
        what = f"{name} of generation {key} cannot be read: {error.strerror}."
        raise Problem("damaged", what) from error


def fresh_piece(store: str, vm_uuid: str, key: str, name: str, offset: int, content: str) -> None:
    """A piece of what shall take the place of a damaged file of a complete generation."""
    path = home(store, vm_uuid, key) / names.fresh(file_name(name))
    inside.write_at(path, offset, bytes.fromhex(content))


def fresh_in_place(store: str, vm_uuid: str, key: str, name: str, digest: str) -> None:
    """Put it there, if it is what the manifest says."""
    place = home(store, vm_uuid, key)
    fresh = place / names.fresh(file_name(name))
    if sha256(fresh) != digest:
        inside.remove(fresh)
        raise Problem("damaged", f"the {name} that was found is another one")
    inside.sync(fresh)
    inside.move(fresh, place / name)

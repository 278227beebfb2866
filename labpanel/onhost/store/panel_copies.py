"""Copies of panels in a store: encrypted files that this machine cannot read.

    <store>/panel-copies/<panel-id>/<time>.tar            whole, and synced
    <store>/panel-copies/<panel-id>/.<time>.tar.partial   in progress: nothing was promised

Only copies of the panel that asks are ever removed, and only after a newer one lies there whole.
Standard library only.
"""

import base64
import errno
import fcntl
import hashlib
import os
import re
import stat
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from labpanel.lib.store_format.names import FOLDER_MODE, LOCK_MODE, PANEL_COPIES
from labpanel.onhost.runtime.wire import Problem, serve
from labpanel.onhost.store.store_marker import checked_marker

MOST_NAMES = 1000
MOST_CHUNK = 1 << 20
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z\.tar\Z")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_state: dict[str, Any] = {}


def copies(store: str, panel_id: str, store_id: str) -> list[dict[str, Any]]:
    """`{"name", "bytes"}` of this panel's copies, oldest first; the newest MOST_NAMES."""
    checked_marker(store, panel_id, store_id)
    try:
        folder = _opened(store, panel_id)
    except FileNotFoundError:
        return []
    try:
        return [{"name": name, "bytes": size} for name, size in _listed(folder)][-MOST_NAMES:]
    finally:
        os.close(folder)


def begin(store: str, panel_id: str, store_id: str, name: str) -> None:
    """Start a copy; refused with "busy" while another session writes one of the same panel."""
    checked_marker(store, panel_id, store_id)
    _leave()
    folder = _opened(store, panel_id, make=True)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        raise Problem("busy", f"Another copy of this panel is being written to {store}.") from None
    for left in _names(folder):
        if left.startswith(".") and left.endswith(".partial") and _NAME.match(left[1:-8]):
            os.unlink(left, dir_fd=folder)
    partial = f".{_checked(name)}.partial"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(partial, flags, LOCK_MODE, dir_fd=folder)
    _state.update(folder=folder, file=file, name=name, digest=hashlib.sha256())


def write(data: str) -> None:
    """Append base64 of at most MOST_CHUNK bytes."""
    chunk = base64.b64decode(data, validate=True)
    _state["digest"].update(chunk)
    done = 0
    while done < len(chunk):
        done += os.write(_state["file"], chunk[done:])


def finish(sha256: str, keep: int) -> list[dict[str, Any]]:
    """Give the copy its name if it is what was sent, then remove what is older than the newest
    `keep`; the list as `copies` gives it. Copies dated later than this one neither count nor go."""
    folder, file, name = _state["folder"], _state["file"], _state["name"]
    if _state["digest"].hexdigest() != sha256 or _read_again(file) != sha256:
        raise Problem("damaged", "The copy that arrived is not the one that was sent.")
    os.fsync(file)
    partial = f".{name}.partial"
    if name in _names(folder):  # only the holder of the lock adds names
        raise Problem("exists", f"A copy {name} lies there already.")
    os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
    listed = [each for each, _ in _listed(folder) if each <= name]
    for old in listed[: max(0, len(listed) - max(1, keep))]:
        with suppress(FileNotFoundError):
            os.unlink(old, dir_fd=folder)
    os.fsync(folder)
    found = [{"name": each, "bytes": size} for each, size in _listed(folder)]
    _leave()
    return found[-MOST_NAMES:]


def read(store: str, panel_id: str, store_id: str, name: str, offset: int, size: int) -> str:
    """Base64 of up to `size` bytes of a copy from `offset` on; "" at its end."""
    checked_marker(store, panel_id, store_id)
    folder = _opened(store, panel_id)
    try:
        # Not blocking: what is not a regular file is refused, not waited for.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(_checked(name), flags, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Problem("damaged", f"{name} is not a regular file.")
        return base64.b64encode(os.pread(file, min(size, MOST_CHUNK), offset)).decode()
    finally:
        os.close(file)


def _read_again(file: int) -> str:
    digest, offset = hashlib.sha256(), 0
    while data := os.pread(file, MOST_CHUNK, offset):
        digest.update(data)
        offset += len(data)
    return digest.hexdigest()


def _listed(folder: int) -> list[tuple[str, int]]:
    found = []
    for name in sorted(_names(folder)):
        if _NAME.match(name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                found.append((name, status.st_size))
    return found


def _names(folder: int) -> list[str]:
    return os.listdir(folder)


def _opened(store: str, panel_id: str, *, make: bool = False) -> int:
    """The folder of a panel's copies, through no link below the store."""
    at = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in (PANEL_COPIES, _id(panel_id)):
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, FOLDER_MODE, dir_fd=at)
            inner = _enter(at, name)
        finally:
            os.close(at)
        at = inner
    return at


def _enter(parent: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ENOTDIR, errno.ELOOP}:
            raise Problem("foreign", f"{name} in this store is not a folder of labpanel.") from None
        raise


def _id(panel_id: str) -> str:
    try:
        return str(uuid.UUID(panel_id))
    except ValueError:
        raise Problem("panel", f"{panel_id!r} is not the UUID of a panel.") from None


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise Problem("name", f"{name!r} is not the name of a copy of a panel.")
    return name


def _leave() -> None:
    for key in ("file", "folder"):
        if key in _state:
            os.close(_state.pop(key))


VERBS: dict[str, Callable[..., Any]] = {
    "copies": copies,
    "begin": begin,
    "write": write,
    "finish": finish,
    "read": read,
}


def main() -> None:
    serve(VERBS)

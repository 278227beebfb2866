"""Who works on a VM's generations in a store: many readers and writers beside each other, or one
that changes what is there (pruning, mending). A lock lives as long as the panel's connection."""

import errno
import fcntl
import os
from pathlib import Path

from labpanel.lib.store_format.names import LOCK, LOCK_MODE
from labpanel.onhost.runtime import inside
from labpanel.onhost.runtime.wire import Problem
from labpanel.onhost.store.manifests import vm_folder

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_held: dict[Path, int] = {}


def lock(store: str, vm_uuid: str, *, exclusive: bool) -> None:
    """Take it, or refuse with code "busy"; a lock that is held already is changed."""
    path = vm_folder(store, vm_uuid) / LOCK
    if path in _held:
        _flock(_held[path], exclusive=exclusive)
        return
    try:
        _held[path] = _taken(path, exclusive=exclusive)
    except OSError as error:
        if error.errno != errno.EROFS or exclusive:  # else nothing can be changed there
            raise


def _taken(path: Path, *, exclusive: bool) -> int:
    while True:
        inside.make_folder(path.parent, exist_ok=True)
        if path.parent.is_symlink():
            raise Problem(
                "damaged", f"{path.parent} is a symbolic link, and no folder of this store."
            )
        with inside.held(path.parent) as folder:
            handle = os.open(path.name, _FLAGS, LOCK_MODE, dir_fd=folder)
        try:
            _flock(handle, exclusive=exclusive)
        except Problem:
            os.close(handle)
            raise
        if _same(handle, path):
            return handle
        os.close(handle)  # it was removed between opening and locking


def leave_no_trace(store: str, vm_uuid: str) -> None:
    """Remove a VM's folder in which nothing lies but the lock, if no other process holds it."""
    path = vm_folder(store, vm_uuid) / LOCK
    if not path.parent.is_dir() or {one.name for one in path.parent.iterdir()} - {LOCK}:
        return
    if path.exists():
        try:
            lock(store, vm_uuid, exclusive=True)
        except Problem:
            return
        inside.remove(path)
        os.close(_held.pop(path))
    inside.remove_folder(path.parent)


def _flock(handle: int, *, exclusive: bool) -> None:
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Problem(
            "busy",
            "The generations of this VM in this store are being worked on; "
            "try again when that is done.",
        ) from None


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False

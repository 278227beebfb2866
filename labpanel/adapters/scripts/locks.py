"""Who works on a VM's generations in a store: many readers and writers beside each other, or one
that changes what is there (pruning, mending). A lock lives as long as the panel's connection."""

import errno
import fcntl
import os
from pathlib import Path

from labpanel.adapters.scripts.manifests import vm_folder
from labpanel.adapters.scripts.wire import Problem

LOCK = ".lock"
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
        if error.errno != errno.EROFS or exclusive:  # else nobody changes anything there
            raise


def _taken(path: Path, *, exclusive: bool) -> int:
    while True:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _flock(handle, exclusive=exclusive)
        except Problem:
            os.close(handle)
            raise
        if _same(handle, path):
            return handle
        os.close(handle)  # it was removed between opening and locking


def leave_no_trace(store: str, vm_uuid: str) -> None:
    """Remove a VM's folder in which nothing lies but the lock, if nobody else holds it."""
    path = vm_folder(store, vm_uuid) / LOCK
    if not path.parent.is_dir() or {one.name for one in path.parent.iterdir()} - {LOCK}:
        return
    if path.exists():
        try:
            lock(store, vm_uuid, exclusive=True)
        except Problem:
            return
        path.unlink()
        os.close(_held.pop(path))
    path.parent.rmdir()


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

"""Changes files in a store's folders by descriptor. Standard library only.

    <store>/[<vm-uuid>/[<generation>/ or .<generation>.partial/]]<file>

A store may be a disk that others write to, and this runs as root: a link that lies there would lead
a change to any file of the machine. The folder of the store itself is the owner's choice, and may
be reached through links. Below it each folder is opened through none, and what is written is a
file that was made just now, under a name that nothing had. All functions raise OSError.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from labpanel.lib.store_format.names import (
    FILE_MODE,
    FOLDER_MODE,
    KEY,
    NEW,
    is_uuid,
    key_of_partial,
)
from labpanel.onhost.runtime import plain

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHANGE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextlib.contextmanager
def held(folder: Path) -> Iterator[int]:
    """A folder of a store, as a descriptor."""
    below: list[Path] = []
    if KEY.fullmatch(folder.name) or key_of_partial(folder.name):
        below, folder = [folder, folder.parent], folder.parent.parent
    elif is_uuid(folder.name):
        below, folder = [folder], folder.parent
    handle = os.open(folder, _ROOT)
    try:
        while below:
            inner = plain.folder(below.pop(), handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def opened(path: Path) -> int:
    """A regular file, for reading."""
    with held(path.parent) as folder:
        return plain.opened(path, folder)


def made(path: Path) -> int:
    """A new empty file, open; what had its name is gone."""
    with held(path.parent) as folder:
        return _made(path.name, folder)


def _made(name: str, folder: int) -> int:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    return os.open(name, _NEW, FILE_MODE, dir_fd=folder)


def put(path: Path, content: bytes, fresh: str = "") -> None:
    """Write a file whole or not at all, and durable; until then it has the name `fresh`."""
    fresh = fresh or f"{path.name}{NEW}"
    with held(path.parent) as folder:
        with os.fdopen(_made(fresh, folder), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def write_at(path: Path, offset: int, content: bytes) -> None:
    """Write into a file from `offset` on; at 0 it is made anew, and what had its name is gone."""
    with held(path.parent) as folder:
        if not offset:
            handle = _made(path.name, folder)
        else:
            handle = os.open(path.name, _CHANGE, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, plain.ODD, str(path))
        done = 0
        while done < len(content):
            done += os.pwrite(handle, content[done:], offset + done)
    finally:
        os.close(handle)


def link(path: Path, name: Path) -> None:
    """Give a regular file of a store a second name there, which nothing must have."""
    with held(path.parent) as source, held(name.parent) as target:
        os.close(plain.opened(path, source))
        os.link(path.name, name.name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)


def make_folder(path: Path, *, exist_ok: bool = False) -> None:
    """Make a folder of a VM or of a generation, which no other user can read."""
    with held(path.parent) as folder:
        try:
            os.mkdir(path.name, FOLDER_MODE, dir_fd=folder)
        except FileExistsError:
            if not exist_ok:
                raise


def move(path: Path, name: Path) -> None:
    """Give a file or folder another name of the same store; what has it is replaced."""
    with held(path.parent) as source, held(name.parent) as target:
        os.replace(path.name, name.name, src_dir_fd=source, dst_dir_fd=target)
        os.fsync(source)
        os.fsync(target)


def cut(path: Path, size: int) -> None:
    """Give a regular file this size."""
    with held(path.parent) as folder:
        handle = os.open(path.name, _CHANGE, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, plain.ODD, str(path))
        os.ftruncate(handle, size)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file, or a link as such; no matter if nothing is there."""
    with contextlib.suppress(FileNotFoundError), held(path.parent) as folder:
        os.unlink(path.name, dir_fd=folder)


def remove_folder(path: Path) -> None:
    """Remove an empty folder."""
    with held(path.parent) as folder:
        os.rmdir(path.name, dir_fd=folder)


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it; a link in it as such (shutil.rmtree)."""
    with held(path.parent) as folder:
        shutil.rmtree(f"/proc/self/fd/{folder}/{path.name}")


def has(path: Path) -> bool:
    """Whether a regular file has this name."""
    try:
        os.close(opened(path))
    except FileNotFoundError:
        return False
    return True


def sync(path: Path) -> None:
    """Bring a regular file or a folder to the disk."""
    with held(path.parent) as folder:
        try:
            handle = plain.folder(path, folder)
        except NotADirectoryError:
            handle = plain.opened(path, folder)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """The same of a folder of a store, or of the store's own."""
    with held(path) as folder:
        os.fsync(folder)

"""Files that the panel made: marked when they are made, so that it removes them and no others.

A path says nothing: another file may lie there by now, and ext4 gives a new file the very inode
number of the one that was just deleted. So the file itself carries a word (xattr(7), user.*), which
goes with its inode. Where the file system keeps none, nothing is ever removed. Standard library
only.
"""

import contextlib
import fcntl
import os
import secrets
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from labpanel.onhost.runtime.wire import Problem

NAME = "user.labpanel.made"
_FLOCK = "hhqqi0q"  # struct flock of 64-bit Linux: type, whence, start, length, process
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def mark(paths: Sequence[str], word: str) -> list[dict[str, Any]]:
    """Write the word to each file; `[{"path", "inode", "mark"}]`, no mark where that fails."""
    found = []
    for path in paths:
        handle = os.open(path, _READ)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise Problem("path", f"{path} is not a file.")
            kept = ""
            with contextlib.suppress(OSError):
                os.setxattr(handle, NAME, word.encode())
                kept = os.getxattr(handle, NAME).decode()
            found.append({"path": path, "inode": status.st_ino, "mark": kept})
        finally:
            os.close(handle)
    return found


def look_at_made(files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is at the paths of files that were marked: `[{"path", "state", "bytes"}]`."""
    return [_told(file, remove=False) for file in files]


def remove_made(files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove those that are still the very files, and that no program has locked."""
    return [_told(file, remove=True) for file in files]


def _told(file: dict[str, Any], *, remove: bool) -> dict[str, Any]:
    folder, _, name = file["path"].rpartition("/")
    try:
        parent = os.open(folder or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return {"path": file["path"], "state": "gone", "bytes": 0}
    try:
        state, taken = _state(parent, name, file)
        if remove and state == "whole":
            state = _removed(parent, name, file)
        return {"path": file["path"], "state": state, "bytes": taken}
    finally:
        os.close(parent)


def _state(parent: int, name: str, file: dict[str, Any]) -> tuple[str, int]:
    with _opened(parent, name) as handle:
        if handle is None:
            return "gone", 0
        if handle < 0 or not _is_it(handle, file):
            return "other", 0
        return ("used" if _locked(handle) else "whole"), os.fstat(handle).st_blocks * 512


def _removed(parent: int, name: str, file: dict[str, Any]) -> str:
    """Under a name of its own first: what takes its place meanwhile is never removed."""
    aside = f".labpanel-removed-{secrets.token_hex(6)}"
    os.rename(name, aside, src_dir_fd=parent, dst_dir_fd=parent)
    with _opened(parent, aside) as handle:
        ours = handle is not None and handle >= 0 and _is_it(handle, file)
        if ours and handle is not None and not _locked(handle):
            os.unlink(aside, dir_fd=parent)
            return "removed"
    # Something was faster. Back to its name, unless that is taken again.
    with contextlib.suppress(FileExistsError):
        os.link(aside, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
        os.unlink(aside, dir_fd=parent)
    return "used" if ours else "other"


@contextlib.contextmanager
def _opened(parent: int, name: str) -> Iterator[int | None]:
    """None if nothing is there, -1 if it cannot be opened as a file."""
    try:
        handle = os.open(name, _READ, dir_fd=parent)
    except FileNotFoundError:
        yield None
        return
    except OSError:  # a link, a socket
        yield -1
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _is_it(handle: int, file: dict[str, Any]) -> bool:
    status = os.fstat(handle)
    if not file["mark"] or not stat.S_ISREG(status.st_mode) or status.st_ino != file["inode"]:
        return False
    try:
        word = os.getxattr(handle, NAME).decode("utf-8", "replace")
    except OSError:
        return False
    return bool(word == file["mark"])


def _locked(handle: int) -> bool:
    """Whether a program holds a lock on a part of it, as QEMU does of an open image (its
    docs/system/images.rst, "Disk image file locking"); nothing is locked by asking (fcntl(2))."""
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    answer = fcntl.fcntl(handle, fcntl.F_OFD_GETLK, asked)
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


VERBS: dict[str, Callable[..., Any]] = {
    "mark": mark,
    "look_at_made": look_at_made,
    "remove_made": remove_made,
}

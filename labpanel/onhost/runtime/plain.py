"""Opens files that strangers may have put there: regular files alone, through no link. Standard
library only."""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from labpanel.onhost.runtime.wire import Problem

_GETVERSION = 0x80087601  # _IOR('v', 1, long) on 64-bit machines but PowerPC, MIPS and SPARC
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
LINK, ODD = "it is a symbolic link", "it is not a regular file"


def refused(path: Path | str, why: str | OSError) -> Problem:
    """A file that is not opened, with code "unreadable"."""
    said = why.strerror if isinstance(why, OSError) else why
    return Problem("unreadable", f"{path} cannot be opened: {said}")


def opened(path: Path, within: int | None = None) -> int:
    """A regular file for reading; `within` is the descriptor of its folder, opened already. A FIFO
    or a device is not waited for (open(2), O_NONBLOCK), a symbolic link not followed. Raises
    OSError."""
    handle = _opened(path, within, _FLAGS)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, ODD, str(path))
    return handle


def folder(path: Path, within: int | None = None) -> int:
    """A directory that is not a link, as a descriptor to open what lies in it. Raises OSError."""
    return _opened(path, within, _FLAGS | os.O_DIRECTORY)


def _opened(path: Path, within: int | None, flags: int) -> int:
    name = path if within is None else path.name
    try:
        return os.open(name, flags, dir_fd=within)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR} and _is_link(name, within):
            raise OSError(errno.ELOOP, LINK, str(path)) from None
        if error.errno == errno.ENXIO:  # a socket, or a FIFO that is opened for writing
            raise OSError(errno.EINVAL, ODD, str(path)) from None
        error.filename = str(path)
        raise


def _is_link(name: Path | str, within: int | None) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode)
    except OSError:
        return False


def file_number(handle: int) -> int:
    """By which a regular file is known again under another name, 0 for what is none.

    Its inode's number alone would not do: each fresh file system begins with the same ones, and
    ext4 gives that of a deleted file to the next. So the file system's own number (statvfs(3)) and
    the inode's generation (ioctl_iflags(2), FS_IOC_GETVERSION) go in, where there is one. Where the
    file system's number changes with a restart the file is not known again, which is safe."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        return 0
    generation = bytearray(8)
    with contextlib.suppress(OSError):  # not every file system has them
        fcntl.ioctl(handle, _GETVERSION, generation)
    system = os.fstatvfs(handle).f_fsid
    told = f"{system} {status.st_ino} {generation.hex()}"
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "big") >> 1 or 1


def reading(path: Path | str) -> BinaryIO:
    """The same as a file object."""
    return os.fdopen(opened(Path(path)), "rb")


def at_most(path: Path, most: int) -> bytes:
    """All of a file of at most `most` bytes. Raises OSError, for a longer one too."""
    with reading(path) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, f"it has more than {most} bytes", str(path))
    return found

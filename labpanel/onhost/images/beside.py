"""Files that a VM needs beside its disks (kernel, initrd, UEFI variables, TPM state): read on the
host that has them, made on the host that gets them. Standard library only.

A file goes piece by piece, since a message holds 6 MiB and an initrd is longer. What is made here
is made anew, under a name that nothing has; swtpm's folder is as libvirt makes it (qemu_tpm.c,
qemuTPMEmulatorCreateStorage): /var/lib/libvirt/swtpm/<uuid>/tpm2, the inner one swtpm's own.
"""

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import re
import shutil
import stat
import uuid as uuids
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.lib import kept_files
from labpanel.lib.kept_files import PIECE, TPM
from labpanel.onhost.runtime.wire import Problem, serve

QEMU_CONF = "/etc/libvirt/qemu.conf"
_CHUNK = 1 << 20
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_taken: dict[str, tuple[int, tuple[int, ...]]] = {}
_made: dict[str, int] = {}


def take(name: str, path: str, most: int) -> dict[str, Any]:
    """Open a file to be read as `name`: `{"bytes", "sha256"}`. A link is followed, as QEMU does."""
    handle = _opened(path)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise Problem("odd", f"{path} is not a regular file.")
        if status.st_size > most:
            raise Problem("large", f"{path} has more than {most >> 20} MiB.")
        found = {"bytes": status.st_size, "sha256": _digest(handle)}
    except OSError as error:
        os.close(handle)
        raise _unread(path, error) from error
    except Problem:
        os.close(handle)
        raise
    _drop(name)
    _taken[name] = handle, _stamp(status)
    return found


def _opened(path: str) -> int:
    try:
        return os.open(path, _READ)
    except (FileNotFoundError, NotADirectoryError):
        raise Problem("absent", f"{path} does not exist.") from None
    except OSError as error:
        raise _unread(path, error) from error


def _unread(path: str, error: OSError) -> Problem:
    return Problem("unread", f"{path} cannot be read: {error.strerror}.")


def piece(name: str, offset: int) -> str:
    """At most PIECE bytes of an opened file, as hexadecimal digits."""
    try:
        return os.pread(_taken[name][0], PIECE, offset).hex()
    except OSError as error:
        raise _unread(name, error) from error


def leave(name: str) -> bool:
    """Close a file; whether it was not written to since it was opened."""
    handle, before = _taken[name]
    same = _stamp(os.fstat(handle)) == before
    _drop(name)
    return same


def _drop(name: str) -> None:
    if name in _taken:
        os.close(_taken.pop(name)[0])


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(handle: int) -> str:
    digest, offset = hashlib.sha256(), 0
    while chunk := os.pread(handle, _CHUNK, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()


def make(path: str) -> None:
    """Begin a file that does not exist yet; `write` fills it, `seal` ends it."""
    try:
        _made[path] = os.open(path, _NEW, 0o600)
    except FileExistsError:
        raise Problem("exists", f"{path} exists already; nothing was written over it.") from None


def write(path: str, offset: int, content: str) -> None:
    data, done = bytes.fromhex(content), 0
    while done < len(data):
        done += os.pwrite(_made[path], data[done:], offset + done)


def seal(path: str) -> str:
    """Bring a file that was made here to the disk; its SHA-256."""
    handle = _made.pop(path)
    try:
        os.fsync(handle)
        found = _digest(handle)
    finally:
        os.close(handle)
    _sync_folder(Path(path).parent)
    return found


def make_folder(path: str) -> None:
    """A folder of libvirt's own that it has not made yet (the one for UEFI variables)."""
    Path(path).mkdir(mode=0o711, parents=True, exist_ok=True)


def _tpm_folder(uuid: str) -> Path:
    return Path(kept_files.tpm_folder(str(uuids.UUID(uuid))))


def make_tpm(uuid: str, file: str) -> str:
    """Make the folder of a TPM, which must not be there; the path for its state."""
    inner, own = TPM[file], _tpm_folder(uuid)
    own.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    try:
        own.mkdir()
    except FileExistsError:
        raise Problem("exists", f"{own} exists already; nothing was written over it.") from None
    (own / inner).mkdir()
    for folder, mode in ((own, 0o711), (own / inner, 0o700)):
        os.chmod(folder, mode)  # noqa: PTH101 - whatever the umask left of it
    return str(own / inner / file)


def own_tpm(uuid: str) -> None:
    """Give the state to the user under which libvirt starts swtpm."""
    own, owner = _tpm_folder(uuid), _swtpm_owner()
    for folder in own.iterdir():
        for path in (*folder.iterdir(), folder):
            os.chown(path, *owner, follow_symlinks=False)
        _sync_folder(folder)
    _sync_folder(own)


def remove_tpm(uuid: str) -> None:
    """Remove what `make_tpm` and `write` made, and nothing else."""
    own = _tpm_folder(uuid)
    for name, inner in TPM.items():
        (own / inner / name).unlink(missing_ok=True)
        _rmdir(own / inner)
    _rmdir(own)


def _rmdir(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it is not there, or holds what is not ours
        folder.rmdir()


def _swtpm_owner() -> tuple[int, int]:
    """qemu.conf's swtpm_user and swtpm_group, else libvirt's default, tss, else root
    (qemu_conf.c, virQEMUDriverConfigNew)."""
    user, group = _setting("swtpm_user") or "tss", _setting("swtpm_group") or "tss"
    return _number(user, _uid), _number(group, _gid)


def _uid(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _gid(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _number(name: str, look: Callable[[str], int]) -> int:
    try:
        return int(name) if name.lstrip("+").isdigit() else look(name)
    except KeyError:
        return 0


def _setting(name: str) -> str:
    try:
        text = Path(QEMU_CONF).read_text("utf-8", "replace")
    except OSError:
        return ""
    found = re.findall(rf'^\s*{name}\s*=\s*"([^"]*)"', text, re.MULTILINE)
    return str(found[-1]) if found else ""


def has(program: str) -> bool:
    return shutil.which(program) is not None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems sync no folders
            raise
    finally:
        os.close(handle)


VERBS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        take,
        piece,
        leave,
        make,
        write,
        seal,
        make_folder,
        make_tpm,
        own_tpm,
        remove_tpm,
        has,
    )
}


def main() -> None:
    serve(VERBS)

"""Make the folder for a new store where there is none, if that is asked for. Standard library only.

Only the missing last parts of the path are made, one below the other and by descriptor, so that
no other program can swap a folder meanwhile; each is its owner's alone (0700). What cannot become a
store after all is taken away again, as long as it is empty.

Where a disk should be mounted and is not, a folder would be made on the disk below, fill that, and
vanish with the next mount. So nothing is made on or below a mount point without its mount:
fstab(5), mount units of systemd (systemd.mount(5)), what the panel saw mounted before, and the
places that are for mounts alone (FHS 3.0: /media and /mnt).
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from labpanel.onhost.looks import mountinfo
from labpanel.onhost.runtime.wire import Problem

FSTAB = Path("/etc/fstab")
UNITS = (Path("/etc/systemd/system"), Path("/run/systemd/generator"))
FOR_MOUNTS = ("/mnt", "/media", "/run/media")
PASSING = ("/run", "/dev", "/proc", "/sys")  # the kernel's own, or gone with the next boot
# Emptied by age or at each start (tmpfiles.d(5)), and those of the system itself (FHS 3.0).
CLEANED = ("/tmp", "/var/tmp")  # noqa: S108 - named to be refused
SYSTEM = ("/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/sbin", "/usr")
IN_MEMORY = {"tmpfs", "ramfs", "rootfs"}  # rootfs: the root of Unraid, made anew at each start
_MOST = 1 << 20


def make(store: str, known: Sequence[str] = ()) -> "Made":
    """Make what is missing of `store`. `known` are mount points that were seen on this machine.
    Raises Problem; then nothing was made."""
    path = Path(store)
    missing: list[str] = []
    above = path
    while not os.path.lexists(above):
        missing.insert(0, above.name)
        above = above.parent
    if not missing:
        return Made()
    try:
        there = above.resolve(strict=True)
    except OSError:
        raise Problem("path", f"{above} is a link into nothing.") from None
    if not there.is_dir():
        raise Problem("path", f"{above} is not a directory, so nothing can be made in it.")
    _must_be_mounted(path, there.joinpath(*missing), known)
    for way in (there.joinpath(*missing), path):
        _must_be_lasting(way)
    _must_be_guarded(above)
    return Made(there, missing)


class Made:
    """The folders that were made; `undo` takes them away, `close` lets them be."""

    def __init__(self, above: Path = Path("/"), names: Sequence[str] = ()) -> None:
        self._handles: list[int] = []
        self._names: list[str] = []
        self.paths: list[str] = []
        if not names:
            return
        self._handles.append(os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        place = above
        for name in names:
            place /= name
            try:
                self._one(name, place)
            except OSError as error:
                self.undo()
                raise _not_made(place, error) from None

    def _one(self, name: str, place: Path) -> None:
        parent = self._handles[-1]
        os.mkdir(name, 0o700, dir_fd=parent)
        self._names.append(name)
        self.paths.append(str(place))
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handles.append(os.open(name, flags, dir_fd=parent))
        os.fchmod(self._handles[-1], 0o700)  # whatever the umask is
        os.fsync(parent)

    def undo(self) -> None:
        for name, parent in reversed([*zip(self._names, self._handles)]):
            with contextlib.suppress(OSError):  # something came into it: it is not ours alone
                os.rmdir(name, dir_fd=parent)
        self._names, self.paths = [], []
        self.close()

    def close(self) -> None:
        for handle in self._handles:
            os.close(handle)
        self._handles = []


def _not_made(place: Path, error: OSError) -> Problem:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Problem("full", f"{place} cannot be made: the file system is full.")
    if error.errno == errno.EEXIST:
        return Problem("path", f"{place} was made by something else just now; try again.")
    return Problem("not-writable", f"{place} cannot be made ({error.strerror}).")


def _must_be_mounted(asked: Path, real: Path, known: Sequence[str]) -> None:
    """Both ways to it are looked at: as it was written, and without links."""
    mounted = {mountinfo.shown(each.mount_point) for each in mountinfo.read()}
    wanted = {*known, *_in_fstab(), *_in_units()} - mounted
    for place in (*real.parents, real, *asked.parents, asked):
        if str(place) in wanted and str(place) != "/":
            raise Problem(
                "not-mounted",
                f"{place} is a mount point and nothing is mounted there: a folder made now would "
                "lie on the disk below.",
            )
    for path in (real, asked):
        for folder in PASSING:
            if path.is_relative_to(folder) and not path.is_relative_to("/run/media"):
                raise Problem("path", f"{path} would be gone after a restart of this machine.")
        for folder in FOR_MOUNTS:
            if path.is_relative_to(folder) and not _below_a_mount(path, folder, mounted):
                raise Problem(
                    "not-mounted",
                    f"{folder} is for mounts, and nothing is mounted at {path} or above it: a "
                    "folder made now would lie on the system's own disk.",
                )


def _below_a_mount(path: Path, folder: str, mounted: set[str]) -> bool:
    return any(
        str(place) in mounted for place in (path, *path.parents) if place.is_relative_to(folder)
    )


def _must_be_lasting(path: Path) -> None:
    """Not in a place that the system empties: copies would go one by one, or all at once."""
    if any(path.is_relative_to(folder) for folder in CLEANED):
        raise Problem("path", f"{path} lies where the system removes files by their age.")
    for folder in SYSTEM:
        if path.is_relative_to(folder):
            raise Problem("path", f"{folder} holds the system's own files: no place for copies.")
    on = mountinfo.holding(str(path), mountinfo.read())
    if on is not None and on.fstype in IN_MEMORY:
        raise Problem(
            "path",
            f"{path} would lie in memory ({on.fstype} at {mountinfo.shown(on.mount_point)}) and "
            "be gone after a restart of this machine.",
        )


def _must_be_guarded(above: Path) -> None:
    """Who may rename a folder may put another in its place."""
    mode = above.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise Problem("path", f"{above} can be written to by every user: no place for copies.")


def _in_fstab() -> Iterator[str]:
    for line in _text(FSTAB).split("\n"):
        fields = re.split(r"[ \t]+", line.strip(" \t"))
        if len(fields) > 1 and not fields[0].startswith("#") and fields[1].startswith("/"):
            yield mountinfo.plain(os.fsencode(fields[1])).rstrip("/") or "/"


def _in_units() -> Iterator[str]:
    for folder in UNITS:
        for unit in sorted(folder.glob("*.mount")) + sorted(folder.glob("*.automount")):
            for line in _text(unit).split("\n"):
                if line.startswith("Where="):
                    yield line[6:].strip(" \t").rstrip("/") or "/"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return os.fsdecode(file.read(_MOST))
    except OSError:
        return ""

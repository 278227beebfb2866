"""What is mounted here, and on which mount a path lies: the one reader of proc(5)'s mountinfo.

The kernel separates fields by one blank and lines by a newline, and writes both, tabs and
backslashes inside a name in octal; every other character, whatever Python takes for a blank or a
line's end (U+00A0, U+2028, NEL …), is part of the name. Standard library only.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

MOUNTINFO = Path("/proc/self/mountinfo")
# What holds no data of anybody (Documentation/filesystems), or data that are shown elsewhere: a
# container's layers. Every other type counts, known or not: there are more FUSE file systems than
# a list could name.
NO_DATA = frozenset({
    "anon_inodefs", "apparmorfs", "autofs", "bdev", "binfmt_misc", "bpf", "cgroup", "cgroup2",
    "configfs", "cpuset", "debugfs", "devpts", "devtmpfs", "efivarfs", "fusectl", "hugetlbfs",
    "mqueue", "nfsd", "nsfs", "overlay", "pipefs", "proc", "pstore", "ramfs", "resctrl", "rootfs",
    "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sockfs", "sysfs", "tmpfs", "tracefs",
    "xenfs",
    # A desktop's, a container's and a package manager's windows on other things.
    "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse", "fuse.rofiles-fuse",
})  # fmt: skip
# Media that only look like disks: snaps, CDs.
MEDIA = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs", "romfs"})
_MOST_TYPE = 32  # a FUSE file system gives itself any name
_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True)
class MountEntry:
    """One line. Names are as the file system has them; bytes that are no UTF-8 as surrogates."""

    mount: str
    parent: str
    number: str
    root: str
    mount_point: str
    options: str
    fstype: str
    source: str
    super_options: str


@dataclass
class MountedFileSystem:
    """One file system: the mount of its root stands for it, else the first; others beside it."""

    entry: MountEntry
    also: "list[str]" = field(default_factory=list)


def read() -> "list[MountEntry]":
    return parse(MOUNTINFO.read_bytes())


def parse(text: bytes) -> "list[MountEntry]":
    return [found for found in map(entry, text.split(b"\n")) if found is not None]


def entry(line: bytes) -> "MountEntry | None":
    """None for a line that is none of the kernel's."""
    words = line.split(b" ")
    try:
        end = words.index(b"-", 6)  # after the optional fields, of which there may be none
    except ValueError:
        return None
    tail = words[end + 1 :]
    if len(tail) < 3:
        return None
    mount, parent, number, root, place, options = map(plain, words[:6])
    fstype, source = plain(tail[0])[:_MOST_TYPE], plain(tail[1])
    # Some file systems write blanks of their options as they are.
    rest = plain(b" ".join(tail[2:]))
    return MountEntry(mount, parent, number, root, place, options, fstype, source, rest)


def plain(word: bytes) -> str:
    """A word of mountinfo or fstab(5) without its octal escapes; what is no UTF-8 as surrogates."""
    said = _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), word)
    return said.decode("utf-8", "surrogateescape")


def shown(name: str) -> str:
    """A name as text that JSON and a page can carry."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def visible(entries: "list[MountEntry]") -> "list[MountEntry]":
    """Those that a path leads to: others lie below a mount over them, or over a folder above."""
    children = _children(entries)
    return [one for one in entries if _walk(one.mount_point, children) is one]


def holding(path: str, entries: "list[MountEntry]") -> "MountEntry | None":
    """The mount on which `path` (without links) lies."""
    return _walk(path, _children(entries))


def _children(entries: "list[MountEntry]") -> "dict[str, list[MountEntry]]":
    """Mounts by the mount that they stand on; those of the name space's root under "". What stands
    on nothing that is listed stands on the root, where that is listed."""
    known = {one.mount for one in entries}
    tops = [one for one in entries if one.parent not in known or one.parent == one.mount]
    roots = [one for one in tops if one.mount_point == "/"]
    found: dict[str, list[MountEntry]] = {"": roots or tops}
    for one in entries:
        if one in found[""]:
            continue
        stands = one.parent if one not in tops else roots[-1].mount
        found.setdefault(stands, []).append(one)
    return found


def _walk(path: str, children: "dict[str, list[MountEntry]]") -> "MountEntry | None":
    """As the kernel walks: from folder to folder, crossing into what is mounted there."""
    at, reached, seen = None, "", set()
    while True:
        here = children.get(at.mount if at is not None else "", [])
        on_way = [
            one
            for one in here
            if one.mount not in seen
            and is_under(path, one.mount_point)
            and len(one.mount_point) >= len(reached)
        ]
        if not on_way:
            return at
        # The nearest to the root comes first; of two at one place the later is on top.
        nearest = min(len(one.mount_point) for one in on_way)
        at = [one for one in on_way if len(one.mount_point) == nearest][-1]
        reached = at.mount_point
        seen.add(at.mount)


def is_under(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")


def file_systems(entries: "list[MountEntry]", paths: "list[str]") -> "list[MountedFileSystem]":
    """The file systems that hold data, each once: all but those of NO_DATA and MEDIA, and whatever
    holds one of `paths`."""
    seen = visible(entries)
    children = _children(entries)
    asked = {id(one) for path in paths if (one := _walk(_absolute(path), children)) is not None}
    kept = {key(one) for one in seen if id(one) in asked or counts(one.fstype)}
    found: dict[str, MountedFileSystem] = {}
    for one in seen:
        if key(one) not in kept:
            continue
        known = found.setdefault(key(one), MountedFileSystem(one))
        place = one.mount_point
        if known.entry.mount_point == place or place in known.also:
            continue
        if one.root == "/" and known.entry.root != "/":
            found[key(one)] = MountedFileSystem(one, [*known.also, known.entry.mount_point])
        else:
            known.also.append(place)
    return list(found.values())


def counts(fstype: str) -> bool:
    return fstype not in NO_DATA and fstype not in MEDIA


def key(one: MountEntry) -> str:
    """What two mounts of one file system have in common. The numbers of those without a device say
    nothing of the server's folders below them; those of btrfs are its subvolumes'."""
    if one.number.startswith("0:") and one.fstype != "btrfs":
        return f"{one.number} {one.source}"
    return one.number


def _absolute(path: str) -> str:
    return os.path.normpath(PurePosixPath("/", path))

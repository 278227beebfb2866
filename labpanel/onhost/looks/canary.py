"""Do the file systems of this machine take writes? It works while everything is read-only.
Standard library only.

Argument: {"folders": [...], "seconds": 12}. Answer, one JSON object on standard output:
  "now"     this machine's clock, seconds since 1970
  "mounts"  [{"mount_point", "also": [...], "source", "device", "fstype", "options", "super"}]
            one for each file system that holds data; see mountinfo.py
  "ext4"    {device: {file name under /sys/fs/ext4/<device>: number or text}}
  "probes"  [{"folder", "mount_point", "outcome", "error", "detail", "seconds", "room"}]; outcomes:
            ok, read-only, io-error, full, timeout, mismatch, missing, denied, failed, not-reached

A probe writes one block, syncs it, reads it back past the cache. It runs in a child (turns.py),
because a hung disk makes the process that touches it unkillable.
"""

import errno
import json
import mmap
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labpanel.onhost.looks import mountinfo, turns
from labpanel.onhost.looks.turns import FileSystemWork

COUNTERS = (
    "errors_count",
    "warning_count",
    "first_error_time",
    "first_error_func",
    "first_error_line",
    "first_error_errcode",
    "first_error_ino",
    "first_error_block",
    "last_error_time",
    "last_error_func",
    "last_error_line",
    "last_error_errcode",
)
BLOCK = 4096
# A healthy disk takes a block within milliseconds, a busy one within a second or two. One step
# longer than this has timed out.
SECONDS = 12.0
MOST_FOLDERS = 32
PREFIX = ".labpanel-probe-"
STALE_SECONDS = 600
# A growing image takes room by the megabyte: with less than this its VM stops at any moment.
LITTLE = 16 << 20
OUTCOMES = {
    errno.EROFS: "read-only",
    errno.EIO: "io-error",
    errno.EUCLEAN: "io-error",
    errno.ESHUTDOWN: "io-error",
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
}


def main() -> None:
    asked = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    folders = [str(folder) for folder in asked.get("folders", [])]
    counters = ext4_counters()
    # Where errors were counted the question "does it still take writes?" is open: since Linux
    # 6.1.115 the mount options may say nothing about it.
    folders += [
        entry["mount_point"]
        for entry in file_systems(folders)
        if counters.get(entry["device"], {}).get("errors_count")
    ]
    groups = turns.by_file_system(list(dict.fromkeys(folders))[:MOST_FOLDERS], [])
    probes = turns.run(groups, child, float(asked.get("seconds", SECONDS)))[0]
    # Anew: a probe makes the kernel mount what is mounted on demand, and follows links.
    mounts = file_systems(folders + [str(probe["real"]) for probe in probes if "real" in probe])
    for probe in probes:
        probe["mount_point"] = mount_of(probe, mounts)
    known = {probe["mount_point"] for probe in probes if probe["outcome"] != turns.NOT_REACHED}
    answer = {
        "now": time.time(),
        "mounts": mounts,
        "ext4": counters,
        "probes": [
            probe
            for probe in probes
            if probe["outcome"] != turns.NOT_REACHED or probe["mount_point"] not in known
        ],
    }
    print(json.dumps(answer))


def file_systems(folders: list[str]) -> list[dict[str, Any]]:
    """One entry for each file system that counts: where its root is mounted, other places under
    "also"."""
    return [mount(each) for each in mountinfo.file_systems(mountinfo.read(), folders)]


def mount(found: mountinfo.MountedFileSystem) -> dict[str, Any]:
    entry = found.entry
    return {
        "mount_point": mountinfo.shown(entry.mount_point),
        "also": [mountinfo.shown(place) for place in found.also],
        "source": mountinfo.shown(entry.source),
        "device": device_name(entry.number),
        "number": entry.number,
        "fstype": mountinfo.shown(entry.fstype),
        "options": mountinfo.shown(entry.options),
        "super": mountinfo.shown(entry.super_options),
    }


def device_name(number: str) -> str:
    """The kernel's own name of a block device, as in /sys/fs/ext4 (sda1, dm-0, loop3)."""
    path = Path("/sys/dev/block", number)
    return path.resolve().name if path.exists() else ""


def ext4_counters() -> dict[str, dict[str, Any]]:
    found = {}
    for folder in Path("/sys/fs/ext4").glob("*"):
        values: dict[str, Any] = {}
        for name in COUNTERS:
            try:
                text = (folder / name).read_text().strip()
            except OSError:
                continue  # an older kernel has fewer of them
            values[name] = int(text) if text.isdigit() else text
        if "errors_count" in values:
            found[folder.name] = values
    return found


def child(
    group: FileSystemWork, say: Callable[[dict[str, Any]], None], stop: Callable[[], bool]
) -> None:
    """Probe the folders of one file system one after another."""
    for number, folder in enumerate(group.folders):
        if number and stop():
            return
        say({"begins": folder})
        say(probe(folder))


def probe(folder: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"folder": folder, "outcome": "ok"}
    answer.update(error="", detail="", number="", seconds=None)
    try:
        lock = wait_for_turn(folder, SECONDS)
        began = time.monotonic()
        status = Path(folder).stat()
        answer["number"] = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
        answer["real"] = str(Path(folder).resolve())
        if lock is None:
            answer.update(outcome="timeout", detail="an earlier probe still hangs")
        elif not same_again(folder):
            answer.update(outcome="mismatch", detail="what was read is not what was written")
        elif room(folder) < LITTLE:
            answer.update(outcome="full", detail=f"{room(folder) >> 10} KiB left")
        answer["seconds"] = round(time.monotonic() - began, 3)
        answer["room"] = space(folder)
        if lock is not None:
            lock.close()
    except OSError as error:
        answer.update(
            outcome=OUTCOMES.get(error.errno or 0, "failed"),
            error=errno.errorcode.get(error.errno or 0, str(error.errno)),
            detail=error.strerror or "",
        )
    except Exception as error:  # noqa: BLE001 - the parent must hear of it
        answer.update(outcome="failed", detail=repr(error))
    return answer


def wait_for_turn(folder: str, seconds: float) -> "socket.socket | None":
    """One probe of a folder at a time, so that hung ones don't pile up. None while one hangs.

    The lock is a socket in the abstract name space: it needs no file and ends with its process.
    """
    lock = socket.socket(socket.AF_UNIX)
    until = time.monotonic() + seconds * 0.8
    while True:
        try:
            lock.bind("\0labpanel-probe" + folder[-90:])
            return lock
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return lock
            if time.monotonic() > until:
                return None
            time.sleep(0.1)


def same_again(folder: str) -> bool:
    """Write a block, sync it, read it back from the disk. Raises OSError as the system says it."""
    remove_stale(folder)
    name = str(Path(folder, PREFIX + str(os.getpid())))
    handle, named = open_new(folder, name)
    try:
        block = os.urandom(BLOCK)
        written = os.write(handle, block)
        os.fsync(handle)
        return written == BLOCK and read_back(handle) == block
    finally:
        os.close(handle)
        if named:
            Path(name).unlink()


def open_new(folder: str, name: str) -> tuple[int, bool]:
    """A file without a name where the file system has such: nothing can be left behind, not even
    by a journal that is aborted in the middle."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), False
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
    return os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), True


def read_back(handle: int) -> bytes:
    buffer = mmap.mmap(-1, BLOCK)  # aligned, as O_DIRECT wants it
    try:
        direct = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECT)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(handle, BLOCK, 0)
    try:
        count = os.preadv(direct, [buffer], 0)
        return buffer[:count]
    finally:
        os.close(direct)


def room(folder: str) -> int:
    """Bytes that this user may still write."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def space(folder: str) -> dict[str, int]:
    """Bytes and inodes; file systems without a fixed number of inodes say 0 of both."""
    status = os.statvfs(folder)
    return {
        "size": status.f_blocks * status.f_frsize,
        "available": status.f_bavail * status.f_frsize,
        "files": status.f_files,
        "files_free": status.f_favail,
    }


def remove_stale(folder: str) -> None:
    """Named probes of ours whose process was killed. Only regular files of this user."""
    for path in Path(folder).glob(PREFIX + "*"):
        try:
            status = path.lstat()
            old = time.time() - status.st_mtime > STALE_SECONDS
            if old and status.st_uid == os.geteuid() and status.st_size <= BLOCK:
                path.unlink()
        except OSError:
            continue  # gone, or the file system refuses: the probe itself will say so


def mount_of(probe: dict[str, Any], mounts: list[dict[str, Any]]) -> str:
    """The mount point that a probe's folder belongs to; "" when it cannot be told."""
    number = probe.get("number")
    likely = [entry for entry in mounts if number and entry["number"] == number]
    if len(likely) == 1:
        return str(likely[0]["mount_point"])
    # What never got as far as a device number; btrfs, whose subvolumes have their own; and a
    # server's folders that are mounted one by one under one number.
    place = str(probe.get("real") or probe["folder"])
    likely = likely or [e for e in mounts if not number or e["fstype"] == "btrfs"]
    points = {point: e["mount_point"] for e in likely for point in (e["mount_point"], *e["also"])}
    inside = [point for point in points if mountinfo.is_under(place, point)]
    return str(points[max(inside, key=len)]) if inside else ""


if __name__ == "__main__":
    main()

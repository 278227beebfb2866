"""Do the file systems of this machine take writes? Sent over SSH; standard library only. It
works while everything is read-only.

Argument: {"folders": [...], "seconds": 8}. Answer, one JSON object on standard output:
  "now"     this machine's clock, seconds since 1970
  "mounts"  [{"mount_point", "also": [...], "source", "device", "fstype", "options", "super"}]
            one for each file system on a block device or the network; see proc(5), mountinfo
  "ext4"    {device: {file name under /sys/fs/ext4/<device>: number or text}}
  "probes"  [{"folder", "mount_point", "outcome", "error", "detail"}]; outcomes: ok, read-only,
            io-error, full, timeout, mismatch, missing, denied, failed

A probe writes one block, syncs it, reads it back past the cache. It runs in a child of its own,
because a hung disk makes the process that touches it unkillable.
"""

import errno
import json
import mmap
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

NETWORK = {"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "zfs", "fuseblk"}
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
    mounts = file_systems()
    counters = ext4_counters()
    folders = list(asked.get("folders", []))
    # Where errors were counted the question "does it still take writes?" is open: since Linux
    # 6.1.115 the mount options may say nothing about it.
    folders += [
        entry["mount_point"]
        for entry in mounts
        if counters.get(entry["device"], {}).get("errors_count")
    ]
    probes = run_probes(list(dict.fromkeys(folders))[:32], float(asked.get("seconds", 8)))
    for probe in probes:
        probe["mount_point"] = mount_of(probe, mounts)
    answer = {"now": time.time(), "mounts": mounts, "ext4": counters, "probes": probes}
    print(json.dumps(answer))


def file_systems() -> list[dict[str, Any]]:
    """One entry for each file system: where its root is mounted, other places under "also"."""
    found: dict[str, dict[str, Any]] = {}
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    for entry in map(mount, text.splitlines()):
        if entry["fstype"] not in NETWORK and not entry["source"].startswith("/dev/"):
            continue
        other = found.setdefault(entry["number"], entry)
        if other is entry:
            continue
        first, second = sorted((other, entry), key=rank)
        first["also"] = [*first["also"], second["mount_point"], *second["also"]]
        found[entry["number"]] = first
    return list(found.values())


def rank(entry: dict[str, Any]) -> tuple[bool, int]:
    """The mount of a file system's root comes first, and the shorter path."""
    return entry["root"] != "/", len(entry["mount_point"])


def mount(line: str) -> dict[str, Any]:
    left, _, right = line.partition(" - ")
    number, root, place, options = left.split(" ")[2:6]
    fstype, source, super_options = [*right.split(" "), "", ""][:3]
    return {
        "mount_point": unescape(place),
        "also": [],
        "source": unescape(source),
        "device": device_name(number),
        "number": number,
        "fstype": fstype,
        "options": options,
        "super": super_options,
        "root": root,
    }


def unescape(text: str) -> str:
    """proc(5): space, tab, newline and backslash are written in octal."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


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


def run_probes(folders: list[str], seconds: float) -> list[dict[str, Any]]:
    """All at once, each in a child; what has not answered after `seconds` has timed out."""
    children = {}
    for folder in folders:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            child(folder, writer, seconds)
        os.close(writer)
        children[reader] = (pid, folder)
    until = time.monotonic() + seconds
    probes = []
    while children:
        ready, _, _ = select.select(list(children), [], [], max(0, until - time.monotonic()))
        for reader in ready or list(children):
            pid, folder = children.pop(reader)
            probes.append(collect(reader, pid, folder, seconds, answered=bool(ready)))
    return probes


def collect(
    reader: int, pid: int, folder: str, seconds: float, *, answered: bool
) -> dict[str, Any]:
    data = os.read(reader, 65536) if answered else b""
    os.close(reader)
    if not answered:
        os.kill(pid, signal.SIGKILL)
    # A child in the middle of a hung write cannot die; nobody waits for it.
    os.waitpid(pid, 0 if answered else os.WNOHANG)
    if data:
        answer: dict[str, Any] = json.loads(data.decode())
        return answer
    outcome = "failed" if answered else "timeout"
    detail = "" if answered else f"no answer within {seconds:g} s"
    return {"folder": folder, "outcome": outcome, "error": "", "detail": detail, "number": ""}


def child(folder: str, writer: int, seconds: float) -> NoReturn:
    # ssh ends when nobody holds its pipes any more: a hung child must not.
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    answer: dict[str, Any] = {"folder": folder, "outcome": "ok"}
    answer.update(error="", detail="", number="")
    try:
        lock = wait_for_turn(folder, seconds)
        status = Path(folder).stat()
        answer["number"] = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
        answer["real"] = str(Path(folder).resolve())
        if lock is None:
            answer.update(outcome="timeout", detail="an earlier probe still hangs")
        elif not same_again(folder):
            answer.update(outcome="mismatch", detail="what was read is not what was written")
        elif room(folder) < LITTLE:
            answer.update(outcome="full", detail=f"{room(folder) >> 10} KiB left")
    except OSError as error:
        answer.update(
            outcome=OUTCOMES.get(error.errno or 0, "failed"),
            error=errno.errorcode.get(error.errno or 0, str(error.errno)),
            detail=error.strerror or "",
        )
    except BaseException as error:  # noqa: BLE001 - the parent must hear of it, and the child must end here
        answer.update(outcome="failed", detail=repr(error))
    os.write(writer, json.dumps(answer).encode())
    os._exit(0)


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
    for entry in mounts:
        if probe.get("number") and entry["number"] == probe["number"]:
            return str(entry["mount_point"])
    # What never got as far as a device number; and btrfs, whose subvolumes have their own.
    place = Path(probe.get("real") or probe["folder"])
    likely = [e for e in mounts if not probe.get("number") or e["fstype"] == "btrfs"]
    points = {point: e["mount_point"] for e in likely for point in (e["mount_point"], *e["also"])}
    inside = [point for point in points if place.is_relative_to(point)]
    return str(points[max(inside, key=len)]) if inside else ""


if __name__ == "__main__":
    main()

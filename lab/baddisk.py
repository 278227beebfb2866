"""Bad disks of a practice host, served by qemu-storage-daemon as files (FUSE): an image with a spot
that cannot be read, a real "Input/output error" (EIO) by the blkdebug filter; and a file system on
a disk that takes its time for every request, by the throttle filter."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from lab.virsh import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.layout import Host

SECTOR = 512
PAGE = 4096
"""What the kernel reads at once: the whole page around a bad sector fails."""


@contextlib.contextmanager
def unreadable(host: Host, path: str, size_mib: int, at: int) -> Iterator[str]:
    """A raw image ``path`` of random bytes whose page at byte ``at`` (a multiple of PAGE) fails.

    Every program that has it open must close it before the end.
    """
    behind, pid = f"{path}.behind", f"{path}.pid"
    errors = [{"event": "none", "iotype": "read", "sector": at // SECTOR, "errno": 5}]
    filtered = {"driver": "blkdebug", "node-name": "bad", "image": "f", "inject-error": errors}
    daemon = [
        *("qemu-storage-daemon", "--daemonize", "--pidfile", pid),
        *("--blockdev", json.dumps({"driver": "file", "node-name": "f", "filename": behind})),
        *("--blockdev", json.dumps(filtered)),
        *("--export", f"type=fuse,id=e,node-name=bad,mountpoint={path},writable=on"),
    ]
    inside(host, ["sh", "-c", f"head -c {size_mib}M /dev/urandom > {behind}; touch {path}"])
    try:
        inside(host, daemon)
        yield path
    finally:
        end = f"kill $(cat {pid}); while mountpoint -q {path}; do sleep 0.1; done"
        inside(host, ["timeout", "10", "sh", "-c", end], check=False)
        inside(host, ["rm", "-f", path, behind, pid], check=False)


@contextlib.contextmanager
def slow(host: Host, folder: str, a_second: int) -> Iterator[str]:
    """An ext4 at ``folder`` whose disk takes so many requests a second, and no more."""
    behind, disk = f"{folder}.behind", f"{folder}.disk"
    pid = f"{folder}.pid"
    group = {"qom-type": "throttle-group", "id": "t", "limits": {"iops-total": a_second}}
    throttled = {"driver": "throttle", "node-name": "slow", "throttle-group": "t", "file": "f"}
    daemon = [
        *("qemu-storage-daemon", "--daemonize", "--pidfile", pid, "--object", json.dumps(group)),
        *("--blockdev", json.dumps({"driver": "file", "node-name": "f", "filename": behind})),
        *("--blockdev", json.dumps(throttled)),
        *("--export", f"type=fuse,id=e,node-name=slow,mountpoint={disk},writable=on"),
    ]
    make = f"truncate -s 64M {behind}; touch {disk}; mkdir -p {folder}; mkfs.ext4 -q -F {behind}"
    inside(host, ["sh", "-c", make])
    try:
        inside(host, daemon)
        inside(host, ["mount", "-o", "loop,noatime", disk, folder], timeout=120)
        yield folder
    finally:
        inside(host, ["timeout", "100", "umount", folder], check=False, timeout=120)
        end = f"kill $(cat {pid}); while mountpoint -q {disk}; do sleep 0.1; done"
        inside(host, ["timeout", "20", "sh", "-c", end], check=False)
        inside(host, ["rm", "-rf", folder, disk, behind, pid], check=False)

"""An image on a practice host with a spot that cannot be read: a real "Input/output error" (EIO),
served by qemu-storage-daemon's blkdebug filter as a file (FUSE)."""

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

    Whoever has it open must let go before the end.
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

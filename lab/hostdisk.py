"""A host's file systems: ext4 in sparse files, mounted through loop devices."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.commands import run

if TYPE_CHECKING:
    from pathlib import Path

    from lab.layout import Host

SIZES: dict[str, int] = {"images": 8 << 30, "store": 8 << 30}
"""Bytes of each file system under /srv; sparse, so they cost what is in them."""

MOUNT_OPTIONS = "loop,noatime,errors=remount-ro"


def file_of(host: Host, name: str) -> Path:
    """The sparse file behind /srv/``name`` of the host."""
    return host.state_dir / f"{name}.ext4"


def make(host: Host, name: str) -> None:
    """Make the file system of /srv/``name`` if there is none."""
    path = file_of(host, name)
    if path.exists():
        return
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        os.truncate(stream.fileno(), SIZES[name])
    # Few inodes and no background initialisation: a sparse file stays sparse.
    features = ["-i", "131072", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"]
    run(["mkfs.ext4", "-q", "-F", "-L", f"{host.name}-{name}", *features, str(partial)])
    partial.replace(path)


def loops(path: Path) -> list[str]:
    """Loop devices, such as /dev/loop3, that have ``path`` as their file."""
    listed = run(["losetup", "--noheadings", "--output", "NAME", "--associated", str(path)])
    return listed.stdout.split()


def detach(path: Path) -> None:
    """Free loop devices that a killed command left behind on ``path``."""
    for device in loops(path):
        run(["losetup", "--detach", device], check=False)

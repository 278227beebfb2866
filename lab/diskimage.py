"""Make the guests' disks: a bootable system disk and file systems with data."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab.commands import run

SYSTEM_BYTES = 512 << 20
START = 1 << 20
"""First byte of the only partition, where every partitioning tool puts it."""

MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")

NOT_FOR_EXTLINUX = "^64bit,^metadata_csum,^metadata_csum_seed,^orphan_file"
"""ext4 features that extlinux 6.04 can't read its own files through."""


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as stream:
        os.truncate(stream.fileno(), size)


def file_system(path: Path, size: int, label: str, tree: Path) -> None:
    """Make a raw image of ``size`` bytes: one ext4 labelled ``label`` filled from ``tree``."""
    _sparse(path, size)
    options = ["-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", "-e", "remount-ro"]
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", label, *options, "-d", str(tree), str(path)])


def system_disk(path: Path, tree: Path, boot: tuple[Path, ...], mount_point: Path) -> None:
    """Make a raw disk that SeaBIOS boots: MBR, one active partition, extlinux.

    The files ``boot`` are copied to /boot on the mounted disk and not with ``tree``:
    mke2fs leaves holes in what it copies, and extlinux can't read such a kernel.
    Mounts at ``mount_point``: the caller runs in a mount namespace of its own,
    so that nothing stays mounted if it is killed.
    """
    _sparse(path, SYSTEM_BYTES)
    table = f"label: dos\nstart={START // 512}, type=83, bootable\n"
    run(["sfdisk", "-q", str(path)], text_in=table)
    with path.open("r+b") as stream:
        # The first 440 bytes are code, the rest of the sector is the partition table.
        stream.write(MBR.read_bytes()[:440])
    offset = f"offset={START},lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    features = ["-O", NOT_FOR_EXTLINUX, "-E", offset, "-e", "remount-ro"]
    blocks = f"{(SYSTEM_BYTES - START) // 1024}k"
    named = ["-b", "4096", "-L", "guest-system", "-d", str(tree)]
    run(["mke2fs", "-q", "-F", "-t", "ext4", *named, *features, str(path), blocks])
    mount_point.mkdir(exist_ok=True)
    run(["mount", "-o", f"loop,offset={START}", str(path), str(mount_point)])
    try:
        for file in boot:
            shutil.copyfile(file, mount_point / "boot" / file.name)
        run(["extlinux", "--install", str(mount_point / "boot/extlinux")])
    finally:
        run(["umount", str(mount_point)])


def to_qcow2(raw: Path, target: Path) -> None:
    """Turn the raw image into a qcow2 one and remove it."""
    run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(raw), str(target)])
    raw.unlink()

"""Build the guests' disks once and keep them in the cache.

Runs as `python3 -m lab.recipe TARGET` in a mount namespace of its own; `cached`
starts it so. A recipe is what goes into the disks; its hash names the folder.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from lab import diskimage, homefiles, kernel, rootfs
from lab.commands import run
from lab.layout import CACHE
from lab.locks import exclusive

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
SOURCES = ("recipe.py", "diskimage.py", "homefiles.py", "kernel.py", "rootfs.py")
ROLES = ("home", "web", "store")
HOME_BYTES = 768 << 20
ARCHIVE_BYTES = 256 << 20

BUILD = 300.0
"""Seconds for a build; about 10 on an idle machine."""


def fingerprint() -> str:
    """Name of the cache folder: a digest of everything that goes into the disks."""
    digest = hashlib.sha256()
    ours = [HERE / name for name in SOURCES] + sorted(rootfs.FILES.iterdir())
    theirs = [Path(name) for name in ("/bin/busybox", *rootfs.TOOLS)]
    for path in [*ours, *theirs, kernel.folder() / "release"]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def build(target: Path) -> None:
    """Make all disks in the folder ``target``."""
    work = target / "work"
    work.mkdir()
    initramfs = work / "initramfs"
    rootfs.make_initramfs(work, kernel.folder(), initramfs)
    boot = (kernel.folder() / "vmlinuz", initramfs)
    for role in ROLES:
        tree = work / role
        rootfs.make_root(tree, role)
        raw = target / f"{role}-vda.raw"
        diskimage.system_disk(raw, tree, boot, work / "mount")
        if role != "store":
            diskimage.to_qcow2(raw, target / f"{role}-vda.qcow2")
    _data(work / "home-files", target / "home-vdb", HOME_BYTES, "guest-home")
    _data(work / "store-files", target / "store-vdb", ARCHIVE_BYTES, "guest-data")
    shutil.rmtree(work)


def _data(tree: Path, stem: Path, size: int, label: str) -> None:
    """Make one data disk as qcow2."""
    tree.mkdir()
    (homefiles.fill_home if label == "guest-home" else homefiles.fill_archive)(tree)
    raw = stem.with_suffix(".raw")
    diskimage.file_system(raw, size, label, tree)
    diskimage.to_qcow2(raw, stem.with_suffix(".qcow2"))


def cached() -> Path:
    """Return the folder with today's disks, building them if they are not there."""
    with exclusive("cache", timeout=900):
        CACHE.mkdir(parents=True, exist_ok=True)
        kernel.fetch()
        target = CACHE / fingerprint()
        if target.is_dir():
            return target
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        # The build ends with us, and nothing of it stays mounted.
        own = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork"]
        own += ["--kill-child", "--propagation=private"]
        script = 'cd "$1" && shift && exec "$@"'
        argv = ["sh", "-c", script, "sh", str(HERE.parent), PYTHON, "-m", "lab.recipe"]
        run([*own, *argv, str(partial)], timeout=BUILD)
        return partial.rename(target)


if __name__ == "__main__":
    build(Path(sys.argv[1]))

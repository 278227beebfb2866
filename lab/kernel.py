"""The kernel of guests and of the hosts' own appliances: files out of Debian's package, which is
never installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.commands import LabError, run
from lab.layout import CACHE
from lab.locks import exclusive
from lab.packages import KERNEL_PACKAGE

MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "virtio_blk",
    "virtio_console",
    "virtio_balloon",
    "button",
    "evdev",
)
"""Modules in the order of their dependencies; ext4 is built in, as some of these may be."""

NEEDLESS = ("net", "sound", "drivers/net", "drivers/infiniband", "drivers/gpu")
"""What no appliance that opens disks asks for: a third of all."""

DOWNLOAD = 600.0
"""Seconds for 27 MB from a Debian mirror over a slow line."""


def folder() -> Path:
    """Folder with `vmlinuz`, `release` and `modules/`, and with `boot/` and `lib/` as a host that
    has this kernel installed has them; made by `fetch`."""
    return CACHE / "kernel"


def _package() -> str:
    """Name of the package that the meta package stands for today."""
    listed = run(["apt-cache", "depends", KERNEL_PACKAGE], check=False).stdout
    for line in listed.splitlines():
        word, _, name = line.strip().partition(": ")
        if word == "Depends" and name.startswith("linux-image-"):
            return name
    raise LabError(f"apt does not know {KERNEL_PACKAGE}: run `apt-get update` first.")


def _unpack(archive: Path, target: Path) -> None:
    """Take the kernel and its modules out of the package."""
    tree = target / "tree"
    run(["dpkg-deb", "-x", str(archive), str(tree)], timeout=300)
    kernel = next((tree / "boot").glob("vmlinuz-*"))
    shutil.copyfile(kernel, target / "vmlinuz")
    release = kernel.name.partition("-")[2]
    (target / "release").write_text(release + "\n")
    (target / "modules").mkdir()
    built_in = {Path(line).stem for line in next(tree.rglob("modules.builtin")).open()}
    for module in MODULES:
        found = next(tree.rglob(f"{module}.ko*"), None)
        if found:
            _plain(found, target / "modules" / f"{module}.ko")
        elif module not in built_in:
            raise LabError(f"{archive.name} has no module {module}.")
    _as_installed(tree, target, release)
    shutil.rmtree(tree)


def _as_installed(tree: Path, target: Path, release: str) -> None:
    """What a host shows in /boot and /lib/modules, without what is never asked for."""
    for name in NEEDLESS:
        shutil.rmtree(tree / "lib/modules" / release / "kernel" / name, ignore_errors=True)
    run(["depmod", "-b", str(tree), release], timeout=60)
    (target / "boot").mkdir()
    shutil.copyfile(target / "vmlinuz", target / "boot" / f"vmlinuz-{release}")
    (tree / "lib").rename(target / "lib")


def modules(folder: Path) -> list[Path]:
    """The modules to insert, in order, without those that the kernel has built in."""
    files = (folder / "modules" / f"{module}.ko" for module in MODULES)
    return [file for file in files if file.exists()]


def _plain(source: Path, target: Path) -> None:
    """Copy a module, decompressed: busybox can't insert a compressed one."""
    tool = {".xz": "xz", ".zst": "zstd"}.get(source.suffix)
    if tool:
        run([tool, "-d", "-q", "--keep", str(source)])
        source = source.with_suffix("")
    shutil.copyfile(source, target)


def fetch() -> Path:
    """Return the kernel's folder, downloading it the first time.

    The caller holds the cache's lock.
    """
    target = folder()
    if (target / "lib/modules").is_dir():
        return target
    shutil.rmtree(target, ignore_errors=True)  # one of an earlier version holds less
    partial = CACHE / "kernel.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    script = 'cd "$1" && exec apt-get -q -o APT::Sandbox::User=root download "$2"'
    run(["sh", "-c", script, "sh", str(partial), _package()], timeout=DOWNLOAD)
    archive = next(partial.glob("*.deb"))
    _unpack(archive, partial)
    archive.unlink()
    return partial.rename(target)


def at_hand() -> None:
    """See that the kernel's files are there, before hosts show them as their own."""
    with exclusive("cache", timeout=900):
        CACHE.mkdir(parents=True, exist_ok=True)
        fetch()

"""The guests' file tree: busybox, a few real tools with their libraries, our scripts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from lab.commands import LabError, run
from lab.kernel import modules

FILES = Path(__file__).with_name("guestfiles")

TOOLS = (
    "/usr/sbin/qemu-ga",
    "/usr/sbin/dnsmasq",
    "/usr/bin/getfattr",
    "/usr/bin/setfattr",
    "/usr/bin/find",
    "/usr/bin/sha256sum",
)
"""Real programs in the guest: the agent and the DHCP server, and what lists a tree
with NUL-ended names, which busybox's own can't."""

FOLDERS = (
    "boot/extlinux",
    "dev",
    "etc/services",
    "etc/acpi/PWRF",
    "home",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "usr/sbin",
    "bin",
    "sbin",
    "var/lib/dnsmasq",
    "var/lib/load",
    "var/lib/writer",
)

PLACES = {
    "inittab": "etc/inittab",
    "rc": "etc/rc",
    "udhcpc.script": "etc/udhcpc.script",
    "shutdown": "sbin/shutdown",
    # busybox acpid: <event>/<value> of a pressed power button.
    "acpi-power": "etc/acpi/PWRF/00000080",
    "load": "etc/services/load",
    "extlinux.conf": "boot/extlinux/extlinux.conf",
}
"""Where the files of `guestfiles/` go in every guest."""

PLAIN = {"inittab", "extlinux.conf"}
"""Those of them that are no programs."""


def libraries(program: str) -> list[Path]:
    """Shared libraries and the loader that ``program`` needs, by their names on this machine."""
    listed = run(["ldd", program]).stdout
    if "not found" in listed:
        raise LabError(f"{program} lacks a library on this machine: install its package again.")
    return [Path(name) for name in re.findall(r"(/\S+) \(0x", listed)]


def _install(source: Path, root: Path, place: str, *, mode: int = 0o755) -> None:
    target = root / place.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _busybox(root: Path) -> None:
    """Install busybox and a link for each command that no real program provides."""
    _install(Path("/bin/busybox"), root, "bin/busybox")
    for applet in run(["busybox", "--list-full"]).stdout.split():
        link = root / applet
        if not any((root / folder / link.name).exists() for folder in ("bin", "usr/bin", "sbin")):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to("/bin/busybox")


def make_root(root: Path, role: str) -> None:
    """Fill the empty folder ``root`` with the system of the guest ``role``."""
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for tool in TOOLS:
        _install(Path(tool), root, tool)
        for library in libraries(tool):
            _install(library, root, str(library))
    for name, place in PLACES.items():
        _install(FILES / name, root, place, mode=0o644 if name in PLAIN else 0o755)
    _install(FILES / f"role-{role}", root, "etc/services/role")
    _busybox(root)
    (root / "etc/hostname").write_text(f"{role}\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "tmp").chmod(0o1777)


def make_initramfs(work: Path, kernel: Path, target: Path) -> None:
    """Pack busybox, the modules and the first script into ``target`` (newc cpio).

    Not compressed: reading 3 MB is quicker than unpacking them under emulation.
    """
    tree = work / "initramfs.tree"
    for name in ("bin", "dev", "modules", "proc", "root", "sys"):
        (tree / name).mkdir(parents=True)
    _install(Path("/bin/busybox"), tree, "bin/busybox")
    _install(FILES / "initramfs-init", tree, "init")
    files = modules(kernel)
    for file in files:
        _install(file, tree, f"modules/{file.name}", mode=0o644)
    (tree / "modules/order").write_text("".join(f"{file.stem}\n" for file in files))
    script = 'cd "$1" && find . | cpio --quiet -o -H newc >"$2"'
    run(["sh", "-c", script, "sh", str(tree), str(target)])
    shutil.rmtree(tree)

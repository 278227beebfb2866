"""What the lab needs from Debian, and the check for it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lab.commands import LabError

PACKAGES: tuple[str, ...] = (
    "qemu-system-x86",
    "qemu-utils",
    "libvirt-daemon-system",
    "libvirt-clients",
    "openssh-server",
    "openssh-client",
    "iproute2",
    "e2fsprogs",
    "dnsmasq-base",
    "busybox-static",
    "qemu-guest-agent",
    "extlinux",
    "syslinux-common",
    "smartmontools",
    "python3-libnbd",
    "libnbd-bin",
    "cpio",
    "zstd",
    "attr",
    "fdisk",
    "kmod",
    "python3-guestfs",
    "swtpm",
    "swtpm-tools",
)
"""Debian packages of the lab; the front door installs them."""

KERNEL_PACKAGE = "linux-image-cloud-amd64"
"""The guests' kernel: only its files are taken, it is never installed."""

TOOLS: tuple[str, ...] = (
    "qemu-system-x86_64",
    "qemu-img",
    "libvirtd",
    "virtlogd",
    "virsh",
    "sshd",
    "ssh-keygen",
    "ip",
    "nsenter",
    "unshare",
    "mkfs.ext4",
    "dnsmasq",
    "busybox",
    "qemu-ga",
    "extlinux",
    "smartctl",
    "nbdinfo",
    "getfattr",
    "setfattr",
    "sfdisk",
    "cpio",
    "zstd",
    "depmod",
    "supermin",
    "swtpm",
    "swtpm_setup",
)
"""One command of each package that the lab calls or copies into guests."""

FILES: tuple[str, ...] = ("/usr/lib/syslinux/mbr/mbr.bin",)


def missing() -> list[str]:
    """Name the commands and files that are not there, in the lab's order."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
    lacking = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    return lacking + [name for name in FILES if not Path(name).exists()]


def require() -> None:
    """Raise LabError with the line that installs what is missing."""
    if sys.platform != "linux":
        raise LabError("The practice lab needs Linux.")
    lacking = missing()
    if lacking:
        line = "apt-get install --no-install-recommends " + " ".join(PACKAGES)
        raise LabError(f"The practice lab needs {', '.join(lacking)}: run `{line}`.")

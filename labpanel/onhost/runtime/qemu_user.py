"""The user and the group that libvirt runs QEMU as on this machine. Standard library only."""

import contextlib
import grp
import pwd
import re
from pathlib import Path

RUNNING = Path("/run/libvirt/qemu")
# The users that distributions build libvirt with: Debian and Arch, Fedora and SUSE.
_QEMU_USERS = ("libvirt-qemu", "qemu")


def owner(vm_name: str) -> tuple[int, int]:
    """User and group of the VM's QEMU if it runs, else those that libvirt will start it with."""
    try:
        pid = int((RUNNING / f"{vm_name}.pid").read_text("ascii"))
        status = Path(f"/proc/{pid}").stat()
    except (OSError, ValueError):
        return configured()
    return status.st_uid, status.st_gid


def configured() -> tuple[int, int]:
    """qemu.conf's user and group, by name or number ("+64055"), else the distribution's."""
    uid, gid = _user(_setting("user"))
    group = _setting("group")
    if group.lstrip("+").isdigit():
        return uid, int(group)
    return uid, grp.getgrnam(group).gr_gid if group else gid


def _user(named: str) -> tuple[int, int]:
    """A user and its first group; root where the machine has none of the users."""
    if named.lstrip("+").isdigit():
        return int(named), -1  # it may have no entry; -1 leaves a file's group as it is (chown(2))
    for name in (named, *_QEMU_USERS):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    return 0, 0


def _setting(name: str) -> str:
    """A text setting of /etc/libvirt/qemu.conf, empty if it is left at its default."""
    try:
        text = Path("/etc/libvirt/qemu.conf").read_text("utf-8", "replace")
    except OSError:
        return ""
    found = re.findall(rf'^\s*{name}\s*=\s*"([^"]*)"', text, re.MULTILINE)
    return found[-1] if found else ""

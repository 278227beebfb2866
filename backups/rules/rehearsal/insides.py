"""What libguestfs's appliance showed of a copy's disks, for a guest without an agent that can be
asked of. Pure.

A file system that cannot be mounted, or that the guest's own fstab asks for and no disk holds, is
wrong. Swap and a disk without a file system are said. What is encrypted is not proven.
"""

from collections.abc import Sequence

from backups.rules.rehearsal.files import files_checks
from labpanel.lib.guest import Guest, GuestFileSystem, GuestMount, Insides
from labpanel.lib.rehearsing import Check, Expected
from labpanel.lib.units import count, listed, size

ENCRYPTED = frozenset({"crypto_LUKS", "BitLocker"})
_NO_FILES = ENCRYPTED | {"swap", "unknown"}


def outside_disk_checks(disks: Sequence[Expected], insides: Insides) -> list[Check]:
    """Each disk of the VM: in the generation, and opened by the appliance at its size."""
    opened = {disk.name: disk.bytes for disk in insides.disks}
    return [_disk_check(disk, opened.get(disk.target)) for disk in disks]


def _disk_check(disk: Expected, opened: int | None) -> Check:
    what = f"Disk {disk.target}"
    if disk.why_absent:
        return Check(what, None if disk.chosen else False, disk.why_absent)
    if opened is None:
        return Check(what, False, "The appliance does not see it.")
    if opened != disk.bytes:
        return Check(
            what, False, f"The appliance sees {size(opened)} instead of {size(disk.bytes)}."
        )
    return Check(what, True, f"The appliance opened it: {size(opened)}.")


def file_system_checks(insides: Insides, disks: Sequence[Expected]) -> list[Check]:
    """Every file system that was found, and those that should have been."""
    checks = [_system_check(system) for system in insides.systems]
    out = [disk.target for disk in disks if disk.chosen]
    for point, device in sorted(insides.lacking.items()):
        seen = f"The guest’s fstab mounts it from {device}, and no disk of this copy holds that."
        if out:
            seen += f" It may lie on {listed(out)}, which was taken out."
        checks.append(Check(f"File system {point}", None if out else False, seen))
    if not mounted(insides):
        seen = "The appliance found none on any disk that it can mount."
        checks.append(Check("File systems", None, seen))
    return checks


def _system_check(system: GuestFileSystem) -> Check:
    if system.why_not:
        where = f"{system.type} on {system.device}" if system.type != "unknown" else system.device
        seen = f"The appliance cannot mount it ({where}): {system.why_not}"
        return Check(f"File system {system.name}", False, seen)
    what = f"Content of {system.device}"
    if system.type == "swap":
        return Check(what, True, "It is swap.")
    if system.type in ENCRYPTED:
        seen = f"It is encrypted ({system.type}) and cannot be read without its key."
        return Check(what, None, seen)
    if system.type == "unknown":
        return Check(what, None, "No file system is on it; what it holds was not looked into.")
    if system.hidden:
        return Check(f"File system {system.name}", None, f"It was not opened: {system.hidden}.")
    seen = f"It mounts in the appliance: {system.type} on {system.device}."
    return Check(f"File system {system.name}", True, seen)


def outside_files_checks(insides: Insides, live: Guest | None, why_no_live: str) -> list[Check]:
    """Its files, counted in the appliance, held against the running VM's."""
    checks = files_checks(as_guest(insides), live, why_no_live)
    for system in insides.systems:
        if system.not_counted:
            seen = f"The appliance did not count them: {system.not_counted}"
            checks.append(Check(f"Files in {system.name}", None, seen))
    return checks


def as_guest(insides: Insides) -> Guest:
    mounts = [
        GuestMount(system.point, system.device, system.type)
        for system in mounted(insides)
        if system.point
    ]
    return Guest(disks=(), mounts=tuple(mounts), trees=insides.trees)


def mounted(insides: Insides) -> list[GuestFileSystem]:
    """The file systems that mount."""
    return [
        system
        for system in insides.systems
        if not (system.why_not or system.hidden) and system.type not in _NO_FILES
    ]


def all_shown(insides: Insides) -> bool:
    """Whether nothing stayed hidden that may hold files of the guest: its root was seen (a pool
    that the appliance cannot assemble is in no list), and all that its fstab asks for."""
    hidden = any(system.hidden or system.type in ENCRYPTED for system in insides.systems)
    rooted = any(system.point == "/" for system in mounted(insides))
    return rooted and not hidden and not insides.lacking


def described(insides: Insides) -> str:
    """`2 disks and 3 file systems`."""
    systems = count(len(mounted(insides)), "file system")
    return f"{count(len(insides.disks), 'disk')} and {systems}"

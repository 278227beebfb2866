"""May this VM be backed up now, and safely? Pure: facts in, reasons out."""

from collections.abc import Sequence

from labpanel.lib.disks import SourceDisk

# QEMU aborts when an NBD client disconnects from a disk with an iothread: the fix for
# CVE-2024-7409 came to the 7.2 series without the change that moves the closing to the main
# thread (seen: 7.2.22, "nbd_blockdev_client_closed: Assertion qemu_in_main_thread()").
_IOTHREAD_FROM, _IOTHREAD_BEFORE = 7_002_014, 9_000_000
_KINDS = {"file", "block"}
_FORMATS = {"raw", "qcow2"}


def iothread_kills(qemu: int) -> bool:
    """Whether a pull backup of a disk with an iothread can kill this QEMU (its version as
    1 000 000 × major + 1 000 × minor + patch; 0 if it is not known)."""
    return qemu == 0 or _IOTHREAD_FROM <= qemu < _IOTHREAD_BEFORE


def needs_push(disks: Sequence[SourceDisk], qemu: int) -> bool:
    """Whether these disks of a running VM are not to be read from QEMU's own NBD server: QEMU
    copies them aside itself (push mode), which no client's disconnecting can crash."""
    return iothread_kills(qemu) and any(disk.iothread for disk in disks)


def obstacles(name: str, disks: Sequence[SourceDisk], *, busy: bool) -> list[str]:
    """Every reason against backing up these data disks now, each one sentence; none is a yes."""
    found = []
    if not disks:
        found.append(f"{name} has no disk that holds data.")
    if busy:
        found.append(f"libvirt already runs a job on {name} (a backup, a move or a snapshot).")
    for disk in disks:
        found += of_disk(name, disk)
    return found


def of_disk(name: str, disk: SourceDisk) -> list[str]:
    """Why no backup can be made of this disk as it is, one sentence; none if it can."""
    if disk.kind not in _KINDS:
        return [f"{disk.target} of {name} is a {disk.kind} disk, which cannot be backed up yet."]
    if disk.format not in _FORMATS:
        return [f"{disk.target} of {name} has the format {disk.format}, not raw or qcow2."]
    if disk.shareable:
        return [f"{disk.target} of {name} is shared with other VMs: no instant of it is whole."]
    if disk.transient:
        return [
            f"{disk.target} of {name} is transient: its changes are thrown away anyway. Leave it "
            "out of the backups, and the other disks are kept."
        ]
    if disk.encrypted:
        return [
            f"{disk.target} of {name} is encrypted, and QEMU has its key: a backup would read it "
            f"in plain text, so none is made. Leave {disk.target} out of the backups, and the "
            "other disks are kept; what is encrypted inside the guest stays so in a copy."
        ]
    if disk.sliced:
        return [
            f"{disk.target} of {name} is a part of a larger file (slices), which cannot be backed "
            f"up yet. Leave {disk.target} out of the backups, or give it an image of its own."
        ]
    return []

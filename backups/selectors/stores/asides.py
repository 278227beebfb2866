"""Other file systems of a VM's host, for what QEMU writes while a backup is open."""

from datetime import datetime

from backups.models import Generation
from backups.rules.copies.trust import AHEAD, DISTRUSTED
from backups.selectors.stores.drives import keys_below
from hosts.models import VM, FileSystem, Finding
from labpanel.lib.durations import ago
from labpanel.symptoms.kinds import Kind, Level

# Not made for files of other users, or made to be read only.
_UNFIT = frozenset({"vfat", "exfat", "msdos", "ntfs", "iso9660", "udf", "squashfs", "erofs"})
# The root of a host is no place for files of ours; this is, and QEMU's user can pass.
_IN_ROOT = "/var/tmp"  # noqa: S108 - a folder of a random name is made in it, and proven


def asides(vm: VM) -> list[str]:
    """Folders on file systems of its host that are not known to be in trouble: first those on other
    drives than the VM's own images, then the roomiest."""
    own = {disk.file_system for disk in vm.disks.filter(missing_since=None) if disk.file_system}
    drives = {key for one in own for key in keys_below(one)}
    troubled = set(
        Finding.objects.filter(
            host=vm.host, kind=Kind.FILE_SYSTEM, resolved_at=None, severity=Level.BAD
        ).values_list("subject", flat=True)
    )
    there = FileSystem.objects.filter(host=vm.host, missing_since=None)
    fit = [
        one
        for one in there.prefetch_related("drives")
        if one not in own and one.fstype not in _UNFIT and one.mount_point not in troubled
        if not one.mount_point.startswith("/boot")
    ]
    fit.sort(key=lambda one: (bool(keys_below(one) & drives), -(one.available_bytes or 0)))
    return [_IN_ROOT if one.mount_point == "/" else one.mount_point for one in fit]


def is_suspect(vm: VM) -> bool:
    """Whether something is known to be wrong with what its images lie on."""
    return Finding.objects.filter(
        vms=vm,
        host=vm.host,
        kind__in=(Kind.FILE_SYSTEM, Kind.DRIVE),
        resolved_at=None,
        severity=Level.BAD,
    ).exists()


def unsaved(vm: VM, now: datetime) -> str:
    """What is lost if the VM's disks are lost before a backup succeeds, as a sentence."""
    kept = Generation.objects.filter(vm_uuid=vm.uuid, state=Generation.State.COMPLETE)
    known = kept.exclude(trust__in=DISTRUSTED).exclude(taken_at__gt=now + AHEAD)
    newest = known.select_related("store").order_by("-taken_at").first()
    if newest is None:
        return f"{vm.name} has no copy: all of it is lost if its disks are."
    when = ago(newest.taken_at, now)
    return (
        f"What {vm.name} wrote since its copy of {when} in {newest.store.name} is not saved, and "
        f"is lost if its disks are."
    )

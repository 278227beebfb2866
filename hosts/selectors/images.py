"""Which VMs have images on which file system of a host."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

from django.db.models import QuerySet

from hosts.models import VM, Host, VirtualDisk


def image_folders(host: Host) -> list[str]:
    """Folders of the host in which images of its VMs lie and are written."""
    sources = _disks(host).filter(kind="file", read_only=False).values_list("source", flat=True)
    folders = {str(PurePosixPath(source).parent) for source in sources if source.startswith("/")}
    return sorted(folders)


def vms_by_folder(host: Host) -> dict[str, tuple[VM, ...]]:
    """Folder → VMs with an image in it."""
    found: dict[str, dict[int, VM]] = defaultdict(dict)
    for disk in _disks(host).filter(kind="file").select_related("vm"):
        found[str(PurePosixPath(disk.source or ".").parent)][disk.vm.pk] = disk.vm
    return {folder: tuple(vms.values()) for folder, vms in found.items()}


def images_by_folder(host: Host) -> dict[str, dict[str, str]]:
    """Folder → the VMs that have images in it, name by UUID."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    rows = _disks(host).filter(kind="file", source__startswith="/", read_only=False)
    for source, uuid, name in rows.values_list("source", "vm__uuid", "vm__name"):
        found[str(PurePosixPath(source).parent)][str(uuid)] = name
    return dict(found)


def vms_by_mount(host: Host, points: Mapping[str, str]) -> dict[str, tuple[VM, ...]]:
    """Mount point → VMs with an image on it: by the inventory, else by the image's path.

    `points` maps every mounted path to the one that its file system goes by.
    """
    found: dict[str, dict[int, VM]] = defaultdict(dict)
    for disk in _disks(host).select_related("file_system", "vm"):
        point = disk.file_system.mount_point if disk.file_system else _holder(disk.source, points)
        if point in points:
            found[points[point]][disk.vm.pk] = disk.vm
    return {place: tuple(vms.values()) for place, vms in found.items()}


def needed_mounts(host: Host) -> dict[str, tuple[VM, ...]]:
    """Mount points that hold images by the inventory, with their VMs, mounted or not."""
    found: dict[str, dict[int, VM]] = defaultdict(dict)
    for disk in _disks(host).exclude(file_system=None).select_related("file_system", "vm"):
        if disk.file_system is not None:
            found[disk.file_system.mount_point][disk.vm.pk] = disk.vm
    return {place: tuple(vms.values()) for place, vms in found.items()}


def _holder(source: str, points: Mapping[str, str]) -> str:
    path = PurePosixPath(source or ".")
    return max((point for point in points if path.is_relative_to(point)), key=len, default="")


def _disks(host: Host) -> QuerySet[VirtualDisk]:
    return VirtualDisk.objects.filter(
        vm__host=host, vm__missing_since=None, missing_since=None, device__in=("disk", "lun")
    )

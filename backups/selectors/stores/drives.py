"""What lies below a file or a directory of a host: its file system and the drives under it."""

from pathlib import PurePosixPath

from hosts.models import FileSystem, Host, PhysicalDisk
from labpanel.lib.drive_names import plain_wwn


def keys_below(file_system: FileSystem) -> set[str]:
    """Keys of the physical disks, and one for the file system itself, which also tells two
    directories of one file system apart from two drives where no drive is known. One key in
    common means: one drive takes both."""
    place = f"file system {file_system.host_id}:{file_system.mount_point}"
    return {place, *(_key(drive) for drive in file_system.drives.all())}


def _key(drive: PhysicalDisk) -> str:
    """The drive's key if it is the same everywhere, else bound to its host.

    A drive without a model shows no identity of its own: virtual machines' drives carry the
    same made-up serial number on many machines. Nor does one that is known by its path, or by a
    WWN of zeros, as rows of earlier versions are.
    """
    is_zero = drive.key.startswith("0x") and not plain_wwn(drive.key)
    is_everywhere = bool(drive.model) and "/dev/" not in drive.key and not is_zero
    return drive.key if is_everywhere else f"host {drive.host_id}: {drive.key}"


def file_system_of(host: Host, path: str) -> FileSystem | None:
    """The file system of the host on which `path` lies, by its mount point."""
    parents = {str(parent) for parent in (PurePosixPath(path), *PurePosixPath(path).parents)}
    found = FileSystem.objects.filter(host=host, missing_since=None, mount_point__in=parents)
    return max(found, key=lambda one: len(one.mount_point), default=None)

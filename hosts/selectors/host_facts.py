"""Everything known of one host, and of one VM, in the API's shape (plain JSON values)."""

from datetime import datetime
from typing import TypedDict

from hosts.models import VM, FileSystem, Host, VirtualDisk
from hosts.selectors.lists import HostJson, VMHeadJson, VMJson, host_row, vm_list, vm_row


class FileSystemJson(TypedDict):
    """A file system of a host; `chain` is its way down to the drives, `drives` their keys."""

    mount_point: str
    source: str
    fstype: str
    options: str
    size_bytes: int | None
    used_bytes: int | None
    available_bytes: int | None
    chain: object
    drives: list[str]


class DriveJson(TypedDict):
    key: str
    device: str
    model: str
    serial: str
    size_bytes: int | None
    rotational: bool | None


class HostFactsJson(HostJson):
    """The list's keys, and what the looks found. Sizes in bytes, times in ISO 8601."""

    target: str
    fingerprint: str
    since: str | None
    libvirt_state: str
    libvirt_reason: str
    kernel: str
    cpus: int | None
    memory_bytes: int | None
    libvirt_version: str | None
    qemu_version: str | None
    missing: list[dict[str, str]]
    file_systems: list[FileSystemJson]
    drives: list[DriveJson]
    vms: list[VMJson]


class DiskFacts(TypedDict):
    """A virtual disk and its way down to the drives."""

    target: str
    device: str
    kind: str
    source: str
    format: str
    bus: str
    capacity_bytes: int | None
    allocation_bytes: int | None
    backing_chain: object
    iothread: object
    shareable: bool
    read_only: bool
    transient: bool
    live: bool
    persistent: bool
    file_system: str | None
    drives: list[str]
    missing_since: str | None


class VMFacts(VMHeadJson):
    """The list's keys, and each virtual disk's way down to the drives."""

    last_state: str
    state_reason: str
    state_since: str | None
    since: str | None
    reason: str
    vcpus: int | None
    memory_bytes: int | None
    persistent: bool
    autostart: bool | None
    first_seen: str | None
    last_seen: str | None
    disks: list[DiskFacts]


def host_facts(host: Host, now: datetime) -> HostFactsJson:
    """The list's keys, and what the looks found. Sizes in bytes, times in ISO 8601."""
    row = host_row(host, now)
    systems = FileSystem.objects.filter(host=host, missing_since=None).prefetch_related("drives")
    drives = host.physical_disks.filter(missing_since=None)
    return {
        **row.as_json(),
        "target": host.target,
        "fingerprint": host.fingerprint,
        "since": _time(row.since),
        "libvirt_state": row.libvirt.state,
        "libvirt_reason": row.libvirt.reason,
        "kernel": host.kernel,
        "cpus": host.cpu_count,
        "memory_bytes": host.memory_bytes,
        "libvirt_version": _version(host.libvirt_version),
        "qemu_version": _version(host.qemu_version),
        "missing": host.missing,
        "file_systems": [_file_system(system) for system in systems],
        "drives": [
            {
                "key": drive.key,
                "device": drive.device,
                "model": drive.model,
                "serial": drive.serial,
                "size_bytes": drive.size_bytes,
                "rotational": drive.rotational,
            }
            for drive in drives
        ],
        "vms": [vm.as_json() for vm in vm_list(now, host)],
    }


def vm_facts(vm: VM, now: datetime) -> VMFacts:
    """The list's keys, and each virtual disk's way down to the drives."""
    disks = (
        VirtualDisk.objects.filter(vm=vm)
        .select_related("file_system")
        .prefetch_related("file_system__drives")
    )
    row = vm_row(vm, now)
    return {
        **row.head,
        "last_state": row.last_state,
        "state_reason": vm.state_reason,
        "state_since": _time(vm.state_since),
        "since": _time(row.since),
        "reason": row.reason,
        "vcpus": vm.vcpus,
        "memory_bytes": vm.memory_bytes,
        "persistent": vm.persistent,
        "autostart": vm.autostart,
        "first_seen": _time(vm.first_seen_at),
        "last_seen": _time(vm.seen_at),
        "disks": [_disk(disk) for disk in disks],
    }


def _disk(disk: VirtualDisk) -> DiskFacts:
    system = disk.file_system
    return {
        "target": disk.target,
        "device": disk.device,
        "kind": disk.kind,
        "source": disk.source,
        "format": disk.format,
        "bus": disk.bus,
        "capacity_bytes": disk.capacity_bytes,
        "allocation_bytes": disk.allocation_bytes,
        "backing_chain": disk.backing_chain,
        "iothread": disk.iothread,
        "shareable": disk.shareable,
        "read_only": disk.read_only,
        "transient": disk.transient,
        "live": disk.live,
        "persistent": disk.persistent,
        "file_system": system.mount_point if system else None,
        "drives": [drive.key for drive in system.drives.all()] if system else [],
        "missing_since": _time(disk.missing_since),
    }


def _file_system(system: FileSystem) -> FileSystemJson:
    return {
        "mount_point": system.mount_point,
        "source": system.source,
        "fstype": system.fstype,
        "options": system.options,
        "size_bytes": system.size_bytes,
        "used_bytes": system.used_bytes,
        "available_bytes": system.available_bytes,
        "chain": system.block_chain,
        "drives": [drive.key for drive in system.drives.all()],
    }


def _version(number: int | None) -> str | None:
    """libvirt's integer (1 000 000 × major + 1 000 × minor + patch) as people write it."""
    if number is None:
        return None
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

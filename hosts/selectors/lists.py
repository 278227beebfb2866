"""All hosts and all VMs, as the overview, the API and the command line list them.

A constant number of queries: one for hosts, two for VMs.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from hosts.models import VM, Host, VirtualDisk
from hosts.rules.health.presence import Presence, of_vm, presence
from labpanel.adapters.ssh.openssh import split_target

MISSING = "missing"
UNKNOWN = "unknown"


class HostJson(TypedDict):
    """A host of the list; `last_seen` in ISO 8601."""

    name: str
    address: str
    state: str
    reason: str
    last_seen: str | None


class DiskJson(TypedDict):
    """A virtual disk of the list."""

    target: str
    source: str
    format: str
    capacity_bytes: int | None


class VMHeadJson(TypedDict):
    """What every answer on a VM begins with."""

    name: str
    uuid: str
    host: str
    state: str


class VMJson(VMHeadJson):
    """A VM of the list."""

    disks: list[DiskJson]


@dataclass(frozen=True, slots=True)
class HostRow:
    """`state` is up, unknown or never; with a libvirt that does not answer it is still up, and
    `libvirt` says so."""

    pk: int
    name: str
    address: str
    target: str
    presence: Presence
    libvirt: Presence
    last_seen: datetime | None
    missing: list[dict[str, str]]

    @property
    def state(self) -> str:
        return self.presence.state

    @property
    def since(self) -> datetime | None:
        return self.presence.since

    @property
    def reason(self) -> str:
        """Why it is not up, or what is wrong with it although it is."""
        return self.presence.reason or self.libvirt.reason

    def as_json(self) -> HostJson:
        return {
            "name": self.name,
            "address": self.address,
            "state": self.state,
            "reason": self.reason,
            "last_seen": _time(self.last_seen),
        }


@dataclass(frozen=True, slots=True)
class DiskRow:
    """A virtual disk that is in use, or will be at the next start."""

    pk: int
    target: str
    device: str
    source: str
    format: str
    capacity_bytes: int | None
    allocation_bytes: int | None

    @property
    def is_disk(self) -> bool:
        """Not a drive for media, which come and go."""
        return self.device in {"disk", "lun"}

    def as_json(self) -> DiskJson:
        return {
            "target": self.target,
            "source": self.source,
            "format": self.format,
            "capacity_bytes": self.capacity_bytes,
        }


@dataclass(frozen=True, slots=True)
class VMRow:
    """`state` is libvirt's, or unknown, or missing; `since` says when that began, if known."""

    pk: int
    uuid: UUID
    name: str
    host: str
    state: str
    last_state: str
    since: datetime | None
    reason: str
    vcpus: int
    memory_bytes: int
    disks: list[DiskRow]

    @property
    def is_known(self) -> bool:
        return self.state not in {UNKNOWN, MISSING}

    @property
    def is_on(self) -> bool:
        return self.state in VM.ON

    @property
    def head(self) -> VMHeadJson:
        return {
            "name": self.name,
            "uuid": str(self.uuid),
            "host": self.host,
            "state": self.state,
        }

    def as_json(self) -> VMJson:
        disks = [disk.as_json() for disk in self.disks if disk.is_disk]
        return {**self.head, "disks": disks}


def host_list(now: datetime) -> list[HostRow]:
    return [host_row(host, now) for host in Host.objects.all()]


def vm_list(now: datetime, host: Host | None = None) -> list[VMRow]:
    """By name; those that are missing come last."""
    vms = VM.objects.select_related("host").prefetch_related("disks")
    if host is not None:
        vms = vms.filter(host=host)
    rows = [vm_row(vm, now) for vm in vms]
    return sorted(rows, key=lambda row: (row.state == MISSING, row.name, str(row.uuid)))


def host_row(host: Host, now: datetime) -> HostRow:
    own, libvirt = presences(host, now)
    address, port = split_target(host.target)
    address = address.rpartition("@")[2]
    return HostRow(
        pk=host.pk,
        name=host.name,
        address=address if port == 22 else f"{address}:{port}",
        target=host.target,
        presence=own,
        libvirt=libvirt,
        last_seen=host.seen_at,
        missing=host.missing,
    )


def presences(host: Host, now: datetime) -> tuple[Presence, Presence]:
    """The host's own presence over SSH, and its libvirt's."""
    return (
        presence(host.seen_at, host.failing_since, host.error, now),
        presence(host.libvirt_seen_at, host.libvirt_failing_since, host.libvirt_error, now),
    )


def vm_row(vm: VM, now: datetime) -> VMRow:
    """`vm` with its host and disks at hand: no query."""
    state, since, reason = _state(vm, now)
    return VMRow(
        pk=vm.pk,
        uuid=vm.uuid,
        name=vm.name,
        host=vm.host.name,
        state=state,
        last_state=vm.state,
        since=since,
        reason=reason,
        vcpus=vm.vcpus,
        memory_bytes=vm.memory_bytes,
        disks=[_disk(disk) for disk in vm.disks.all() if disk.missing_since is None],
    )


def _state(vm: VM, now: datetime) -> tuple[str, datetime | None, str]:
    seen = of_vm(*presences(vm.host, now))
    if not seen.is_up:
        return UNKNOWN, seen.since, seen.reason
    if vm.missing_since is not None:
        return MISSING, vm.missing_since, f"{vm.host.name} does not have it any more."
    return vm.state, None, ""


def _disk(disk: VirtualDisk) -> DiskRow:
    return DiskRow(
        pk=disk.pk,
        target=disk.target,
        device=disk.device,
        source=disk.source,
        format=disk.format,
        capacity_bytes=disk.capacity_bytes,
        allocation_bytes=disk.allocation_bytes,
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

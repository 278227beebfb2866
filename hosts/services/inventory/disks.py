"""The virtual disks of one VM: merged from both XMLs, with sizes, chain and file system."""

import time
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db.models import Q

from hosts.models import VM, FileSystem, Host, VirtualDisk
from hosts.rules.placement.paths import holder
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images import qemu_img
from labpanel.adapters.libvirt.xml.domain_xml import Disk, Domain
from labpanel.adapters.ssh.machine import Machine

# Images of VMs that are off change only by hand: looked at once in a while, a few at a turn.
LOOK_AGAIN_SECONDS = 600
LOOKS_AT_A_TURN = 6
LOOK_DEADLINE = 4
_looked: dict[tuple[int, str], float] = {}


@dataclass(frozen=True, slots=True)
class Merged:
    """One target of a VM. `live`: in use now, or at the next start of a VM that is off."""

    disk: Disk
    live: bool
    persistent: bool


def merge(top: Domain, below: Domain | None, *, on: bool) -> list[Merged]:
    """Both XMLs' disks by target; what is in use now speaks for itself."""
    lasting = {disk.target: disk for disk in below.disks} if below else {}
    live = {disk.target: disk for disk in top.disks}
    found = [Merged(disk, True, target in lasting) for target, disk in live.items()]
    found += [Merged(d, not on, True) for target, d in lasting.items() if target not in live]
    return [one for one in found if one.disk.target]


def record(
    host: Host,
    vm: VM,
    merged: list[Merged],
    sizes: dict[str, list[int | None]],
    now: datetime,
    *,
    moved: bool = False,
    whole: bool = True,
) -> bool:
    """Write the disks down; True when one came, went or changed. `moved`: the VM came from another
    host just now, where its images may have had other paths. `whole` is False where a disk was put
    aside: then none is said to be gone."""
    known = {disk.target: disk for disk in vm.disks.select_related("file_system")}
    places = _places(host) if merged else []
    changed = False
    for one in merged:
        fields = _fields(host, one, places)
        row = known.get(one.disk.target)
        if row is None:
            row = VirtualDisk(vm=vm, target=one.disk.target, first_seen_at=now)
        elif row.source != fields["source"]:
            fields |= {"capacity_bytes": None, "allocation_bytes": None, "inode": ""}
            if not moved and not _was_elsewhere(row, host) and not _goes_on(row, fields):
                fields["first_seen_at"] = now  # another disk under an old target
        else:
            _keep_chain(row, one, fields)
        fresh = one.disk.target not in known or _differs(row, fields)
        grown = _size(row, fields, sizes.get(one.disk.target))
        if fresh or grown:
            for name, value in fields.items():
                setattr(row, name, value)
            row.seen_at = now
            row.save()
        changed |= fresh
    targets = [one.disk.target for one in merged]
    VirtualDisk.objects.filter(vm=vm, target__in=targets).update(seen_at=now)
    if not whole:
        return changed
    gone = VirtualDisk.objects.filter(vm=vm, missing_since=None).exclude(target__in=targets)
    return bool(gone.update(missing_since=now)) or changed


def look_at_images(host: Host) -> None:
    """Sizes and chains of images that libvirt says nothing of: those of VMs that are off. And
    which file each is, of any VM, once: by that it is known when it is renamed."""
    there = VirtualDisk.objects.filter(
        vm__host=host, vm__missing_since=None, missing_since=None, source__startswith="/"
    ).select_related("vm")
    off = Q(kind__in=("file", "block")) & ~Q(vm__state__in=VM.ON)
    wanted = there.filter(off | Q(kind="file", inode="", device="disk")).order_by("pk")
    due = (disk for disk in wanted.defer("vm__xml", "vm__inactive_xml") if _due(host, disk))
    for disk in islice(due, LOOKS_AT_A_TURN):
        _looked[host.pk, disk.source] = time.monotonic()
        try:
            image = qemu_img.info(
                Machine(host.endpoint()), disk.source, disk.format or "raw", deadline=LOOK_DEADLINE
            )
        except AdapterError:
            continue  # the image is gone or its file system hangs: the health checks say so
        told: dict[str, Any] = {"inode": str(image.inode) if image.inode else ""}
        if not disk.vm.is_on:
            told |= {
                "capacity_bytes": image.capacity,
                "allocation_bytes": image.allocation,
                "backing_chain": list(image.backing_chain),
            }
        VirtualDisk.objects.filter(pk=disk.pk, source=disk.source).update(**told)


def _differs(row: VirtualDisk, fields: dict[str, Any]) -> bool:
    return any(getattr(row, name) != value for name, value in fields.items())


def _due(host: Host, disk: VirtualDisk) -> bool:
    looked = _looked.get((host.pk, disk.source))
    return looked is None or time.monotonic() - looked > LOOK_AGAIN_SECONDS


def _fields(host: Host, one: Merged, places: list[tuple[str, int]]) -> dict[str, Any]:
    disk = one.disk
    real = host.real_paths.get(disk.source, disk.source)
    return {
        "device": disk.device,
        "kind": disk.kind,
        "source": disk.source,
        "format": disk.format,
        "bus": disk.bus,
        "serial": disk.serial[:64],
        "iothread": disk.iothread,
        "shareable": disk.shareable,
        "read_only": disk.read_only,
        "transient": disk.transient,
        "encrypted": disk.encrypted,
        "sliced": disk.sliced,
        "backing_chain": list(disk.backing_chain),
        "live": one.live,
        "persistent": one.persistent,
        "file_system_id": holder(real, places) if disk.kind == "file" else None,
        "missing_since": None,
    }


def _was_elsewhere(row: VirtualDisk, host: Host) -> bool:
    """Whether a job of the panel's own has brought the VM here since (claims.hand_over): its disks
    are what they were, wherever they lie now."""
    return row.file_system is not None and row.file_system.host_id != host.pk


def _goes_on(row: VirtualDisk, fields: dict[str, Any]) -> bool:
    """Whether another image is the same disk still: a snapshot put one on top, or took it away."""
    return row.source in fields["backing_chain"] or fields["source"] in row.backing_chain


def _keep_chain(row: VirtualDisk, one: Merged, fields: dict[str, Any]) -> None:
    """Where the XML is silent, what the image itself said stays."""
    if not one.disk.chain_known:
        fields["backing_chain"] = row.backing_chain


def _size(row: VirtualDisk, fields: dict[str, Any], size: list[int | None] | None) -> bool:
    """Take the sizes over; True when they moved, which they do all the time and which is not
    published."""
    if size is None or size[0] is None:
        return False
    fields["capacity_bytes"], fields["allocation_bytes"] = size
    return [row.capacity_bytes, row.allocation_bytes] != size


def _places(host: Host) -> list[tuple[str, int]]:
    """Every mount point of the host with its file system's id."""
    rows = FileSystem.objects.filter(host=host, missing_since=None)
    return [
        (place, pk)
        for pk, first, others in rows.values_list("pk", "mount_point", "other_mount_points")
        for place in (first, *others)
    ]

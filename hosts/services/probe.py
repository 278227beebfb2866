"""Look at a host over SSH: what it is, its file systems, the drives below them.

A look that fails keeps the last state and notes since when it fails; the next good look clears
that. What is gone is marked missing, never deleted.
"""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from hosts.models import FileSystem, Host, PhysicalDisk, VirtualDisk
from hosts.rules import needs
from labpanel.adapters import bus, host_facts
from labpanel.adapters.errors import AdapterError, Missing
from labpanel.adapters.host_facts import Drive, HostFacts, Mount
from labpanel.adapters.machine import Machine


def probe(host: Host, now: datetime) -> bool:
    """Look and write down; True when the host answered. Publishes `inventory` on change."""
    try:
        facts = host_facts.look(Machine(host.endpoint()), _images(host))
    except AdapterError as error:
        _failed(host, error, now)
        return isinstance(error, Missing)
    if record(host, facts, now):
        bus.publish("inventory")
    return True


def record(host: Host, facts: HostFacts, now: datetime) -> bool:
    """Write a good look down; True when something other than numbers changed."""
    recovered = host.failing_since is not None or host.seen_at is None
    with transaction.atomic():
        changed = _save_host(host, facts, now)
        drives = {drive.name: _save_drive(host, drive, now) for drive in facts.drives}
        unseen = PhysicalDisk.objects.filter(host=host, seen_at__lt=now, only_smart=False)
        changed |= _gone(unseen, now)
        for mount in facts.mounts:
            changed |= _save_mount(host, mount, drives, now)
        changed |= _gone(FileSystem.objects.filter(host=host, seen_at__lt=now), now)
    return changed or recovered


def _images(host: Host) -> list[str]:
    """Paths whose links are to be followed."""
    disks = VirtualDisk.objects.filter(vm__host=host, missing_since=None, kind="file")
    return list(disks.exclude(source="").values_list("source", flat=True).distinct())


def _failed(host: Host, error: AdapterError, now: datetime) -> None:
    known = (host.failing_since is not None, host.error)
    Host.objects.filter(pk=host.pk, failing_since=None).update(failing_since=now)
    fields: dict[str, Any] = {"error": error.sentence}
    if isinstance(error, Missing):
        fields["missing"] = needs.without_python()
    Host.objects.filter(pk=host.pk).update(**fields)
    host.refresh_from_db()
    if known != (True, host.error):
        bus.publish("inventory")


def _save_host(host: Host, facts: HostFacts, now: datetime) -> bool:
    fields: dict[str, Any] = {
        "kernel": facts.kernel,
        "boot_id": facts.boot_id,
        "cpu_count": facts.cpus,
        "memory_bytes": facts.memory_bytes,
        "real_paths": facts.real_paths,
        "missing": needs.missing(facts.tools),
        "error": "",
        "failing_since": None,
    }
    if facts.tools.libvirt_socket and "://" not in host.libvirt_socket:
        fields["libvirt_socket"] = facts.tools.libvirt_socket
    changed = any(getattr(host, name) != value for name, value in fields.items())
    for name, value in {**fields, "seen_at": now}.items():
        setattr(host, name, value)
    host.save(update_fields=[*fields, "seen_at"])
    return changed


def _save_drive(host: Host, drive: Drive, now: datetime) -> PhysicalDisk:
    row, _ = PhysicalDisk.objects.update_or_create(
        host=host,
        key=drive.key[:128],
        defaults={
            "device": f"/dev/{drive.name}",
            "model": drive.model[:128],
            "serial": drive.serial[:128],
            "size_bytes": drive.size_bytes,
            "rotational": drive.rotational,
            "seen_at": now,
            "missing_since": None,
        },
    )
    return row


def _save_mount(host: Host, mount: Mount, drives: dict[str, PhysicalDisk], now: datetime) -> bool:
    """True when the file system is new, came back, or is mounted in another way."""
    known = FileSystem.objects.filter(host=host, mount_point=mount.mount_point).first()
    fields: dict[str, Any] = {
        "source": mount.source,
        "fstype": mount.fstype,
        "options": mount.options,
        "other_mount_points": list(mount.also_at),
        "block_chain": list(mount.below),
        "missing_since": None,
    }
    if mount.size_bytes is not None:
        sizes = {
            "size_bytes": mount.size_bytes,
            "used_bytes": mount.used_bytes,
            "available_bytes": mount.available_bytes,
        }
    else:
        sizes = {}  # it did not answer: the last numbers stay
    row, _ = FileSystem.objects.update_or_create(
        host=host,
        mount_point=mount.mount_point,
        defaults={**fields, **sizes, "seen_at": now},
    )
    row.drives.set(drives[node["name"]] for node in mount.below if node["name"] in drives)
    return known is None or any(getattr(known, name) != value for name, value in fields.items())


def _gone(rows: Any, now: datetime) -> bool:
    return bool(rows.filter(Q(missing_since=None)).update(missing_since=now))

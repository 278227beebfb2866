"""Look at a host over SSH: what it is, its file systems, the drives below them.

A look that fails keeps the last state and notes since when it fails; the next good look clears
that. What is gone is marked missing, never deleted.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any

from django.db import transaction
from django.db.models import Q

from hosts.models import FileSystem, Host, PhysicalDisk, VirtualDisk, folders_in_use
from hosts.rules.placement import needs
from hosts.services.checks import odd_answers
from hosts.services.checks.recognise_drives import MOST_KNOWN, Sighting, recognise_drives
from labpanel.adapters.errors import AdapterError, Missing, Refused
from labpanel.adapters.looks import host_facts
from labpanel.adapters.looks.host_facts import Drive, HostFacts, Mount
from labpanel.adapters.redis import bus
from labpanel.adapters.ssh.machine import Machine


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
    facts = _room(host, facts)
    with transaction.atomic():
        changed = _save_host(host, facts, now)
        drives = _save_drives(host, facts.drives, now)
        # By the very time of this look: after a clock that went back, earlier ones lie ahead.
        unseen = PhysicalDisk.objects.filter(host=host, only_smart=False).exclude(seen_at=now)
        changed |= _gone(unseen, now)
        for mount in facts.mounts:
            changed |= _save_mount(host, mount, drives, now)
        changed |= _gone(FileSystem.objects.filter(host=host).exclude(seen_at=now), now)
        odd_answers.note(host, "facts", facts.odd, now)
    return changed or recovered


def _images(host: Host) -> list[str]:
    """Paths whose links are to be followed, and whose file systems count whatever they are."""
    disks = VirtualDisk.objects.filter(vm__host=host, missing_since=None, kind="file")
    sources = disks.exclude(source="").values_list("source", flat=True).distinct()
    return [*chain.from_iterable(of(host) for of in folders_in_use), *sources]


def _failed(host: Host, error: AdapterError, now: datetime) -> None:
    known = (host.failing_since is not None, host.error)
    # One in the future was written by a clock that was ahead.
    first = Q(failing_since=None) | Q(failing_since__gt=now)
    Host.objects.filter(first, pk=host.pk).update(failing_since=now)
    fields: dict[str, Any] = {"error": error.sentence, "refused": isinstance(error, Refused)}
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
        "machine_id": facts.identity.machine,
        "board_id": facts.identity.board,
        "network_id": facts.identity.network,
        "real_paths": facts.real_paths,
        "missing": needs.missing(facts.tools),
        "error": "",
        "refused": False,
        "failing_since": None,
    }
    if facts.tools.libvirt_socket is not None:
        fields["libvirt_socket"] = facts.tools.libvirt_socket.value
    numbers = {"cpu_count": facts.cpus, "memory_bytes": facts.memory_bytes}
    fields |= {name: value for name, value in numbers.items() if value is not None}
    changed = any(getattr(host, name) != value for name, value in fields.items())
    for name, value in {**fields, "seen_at": now}.items():
        setattr(host, name, value)
    host.save(update_fields=[*fields, "seen_at"])
    return changed


def _room(host: Host, facts: HostFacts) -> HostFacts:
    """The facts without file systems that would be too many, and with a word on drives that are."""
    drives, mounts = PhysicalDisk.objects.filter(host=host).count(), set(_points(host))
    new_mounts = [mount for mount in facts.mounts if mount.mount_point not in mounts]
    full, kept = [], facts.mounts
    if drives >= MOST_KNOWN:
        full.append(f"{host.name} has named {MOST_KNOWN} drives: no new one is noted.")
    if len(mounts) + len(new_mounts) > MOST_KNOWN:
        full.append(
            f"{host.name} has named more than {MOST_KNOWN} file systems: no new one is noted."
        )
        kept = tuple(mount for mount in facts.mounts if mount.mount_point in mounts)
    return replace(facts, mounts=kept, odd=(*full, *facts.odd)) if full else facts


def _points(host: Host) -> Iterable[str]:
    return FileSystem.objects.filter(host=host).values_list("mount_point", flat=True)


def _save_drives(host: Host, drives: tuple[Drive, ...], now: datetime) -> dict[str, PhysicalDisk]:
    """The row of each by the kernel's name of it."""
    seen = [
        Sighting(f"/dev/{each.name}", each.model, each.serial, each.wwn, size_bytes=each.size_bytes)
        for each in drives
    ]
    rows = recognise_drives(host, seen, now, only_smart=False, most=MOST_KNOWN)
    found = {}
    for drive, row in zip(drives, rows, strict=True):
        if row is not None:
            _save_drive(row, drive, now)
            found[drive.name] = row
    return found


def _save_drive(row: PhysicalDisk, drive: Drive, now: datetime) -> None:
    row.device, row.model = f"/dev/{drive.name}", drive.model[:128]
    row.serial, row.wwn = drive.serial[:128], drive.wwn[:128] or row.wwn
    row.size_bytes, row.rotational = drive.size_bytes, drive.rotational
    row.seen_at, row.missing_since, row.only_smart = now, None, False
    row.save()


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

"""Read a host's VMs and virtual disks from its libvirt, and write down what changed.

Nothing is forgotten when it vanishes: it is marked missing since then. A libvirt that does not
answer changes nothing but the host's own `libvirt_failing_since`.
"""

import logging
import time
from datetime import datetime
from typing import Any

from django.db import transaction

from hosts.models import VM, Host
from hosts.rules.ownership import takes_over
from hosts.services import inventory_disks
from labpanel.adapters import bus, domain_xml, rehearsal_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import pool

log = logging.getLogger(__name__)
DEADLINE = 10
SIZES_DEADLINE = 5
VERSIONS_SECONDS = 600
_asked_versions: dict[int, float] = {}


def take_inventory(host: Host, now: datetime) -> bool:
    """Look and write down; True when libvirt answered. Publishes `inventory` on change."""
    endpoint = host.endpoint()
    try:
        versions = _versions(host)
        reports = pool.call(endpoint, "inventory", deadline=DEADLINE)
    except AdapterError as error:
        _failed(host, error, now)
        return False
    try:
        sizes = pool.call(endpoint, "disk_sizes", deadline=SIZES_DEADLINE)
    except AdapterError as error:
        # One QEMU that hangs can hold this up, once: the VMs are known all the same.
        log.info("no sizes of the disks on %s: %s", host, error.sentence)
        sizes = {}
    if record(host, versions, reports, sizes, now):
        bus.publish("inventory")
    inventory_disks.look_at_images(host)
    return True


def _versions(host: Host) -> dict[str, int]:
    """libvirt's and QEMU's versions, asked for once in a while: some libvirts start a QEMU to
    answer, at a second of CPU each time."""
    asked = _asked_versions.get(host.pk)
    if asked and host.qemu_version and time.monotonic() - asked < VERSIONS_SECONDS:
        return {}
    answer = pool.call(host.endpoint(), "versions", deadline=DEADLINE)
    _asked_versions[host.pk] = time.monotonic()
    return {"libvirt_version": answer["libvirt"], "qemu_version": answer["hypervisor"]}


def record(
    host: Host,
    versions: dict[str, int],
    reports: list[dict[str, Any]],
    sizes: dict[str, dict[str, list[int | None]]],
    now: datetime,
) -> bool:
    """Write a good answer down in one transaction; True when something changed."""
    with transaction.atomic():
        last = Host.objects.select_for_update().get(pk=host.pk).libvirt_seen_at
        if last is not None and last > now:
            return False  # somebody asked after us and was quicker: what they saw is newer
        changed = _save_host(host, versions, now)
        seen = []
        for report in filter(_is_of_the_owner, reports):
            vm, vm_changed = _record_vm(host, report, sizes.get(report["uuid"], {}), now)
            changed |= vm_changed
            if vm is not None:
                seen.append(vm.pk)
        VM.objects.filter(pk__in=seen).update(seen_at=now)
        gone = VM.objects.filter(host=host, missing_since=None).exclude(pk__in=seen)
        changed |= bool(gone.update(missing_since=now))
    return changed


def _is_of_the_owner(report: dict[str, Any]) -> bool:
    """A rehearsal of the panel's own comes and goes; it is no VM."""
    return report["persistent"] or not rehearsal_xml.is_rehearsal(report["xml"])


def _record_vm(
    host: Host, report: dict[str, Any], sizes: dict[str, list[int | None]], now: datetime
) -> tuple[VM | None, bool]:
    """The VM's row and whether anything of it changed; None when it is another host's."""
    try:
        top = domain_xml.parse(report["xml"])
        below = domain_xml.parse(report["inactive_xml"]) if report["inactive_xml"] else None
    except ValueError as broken:
        log.warning("%s: the XML of %s makes no sense: %s", host, report["uuid"], broken)
        return VM.objects.filter(uuid=report["uuid"], host=host).first(), False
    fields = {
        "name": report["name"],
        "state": _state(report),
        "persistent": report["persistent"],
        "autostart": report["autostart"],
        "vcpus": top.vcpus,
        "memory_bytes": top.memory_bytes,
        "xml": report["xml"],
        "inactive_xml": report["inactive_xml"],
        "missing_since": None,
    }
    vm = VM.objects.filter(uuid=report["uuid"]).select_related("host").first()
    moved = vm is not None and vm.host_id != host.pk
    if vm is None:
        times = {"first_seen_at": now, "seen_at": now}
        vm, changed = VM.objects.create(uuid=report["uuid"], host=host, **fields, **times), True
    elif moved and not _takes_over(vm, fields["state"]):
        return None, False
    else:
        changed = _update(vm, {**fields, "host_id": host.pk})
    merged = inventory_disks.merge(top, below, on=vm.is_on)
    return vm, inventory_disks.record(host, vm, merged, sizes, now, moved=moved) or changed


def _takes_over(vm: VM, state: str) -> bool:
    owner = vm.host
    return takes_over(
        vm.state,
        state,
        owner_missing=vm.missing_since is not None,
        owner_reports=owner.failing_since is None and owner.libvirt_failing_since is None,
    )


def _update(vm: VM, fields: dict[str, Any]) -> bool:
    changed = [name for name, value in fields.items() if getattr(vm, name) != value]
    for name in changed:
        setattr(vm, name, fields[name])
    if changed:
        vm.save(update_fields=[name.removesuffix("_id") for name in changed])
    return bool(changed)


def _state(report: dict[str, Any]) -> str:
    number = report["state"]
    return domain_xml.STATES[number] if number < len(domain_xml.STATES) else "no state"


def _save_host(host: Host, versions: dict[str, int], now: datetime) -> bool:
    recovered = host.libvirt_failing_since is not None or host.libvirt_seen_at is None
    fields = {
        **versions,
        "libvirt_seen_at": now,
        "libvirt_failing_since": None,
        "libvirt_error": "",
    }
    for name, value in fields.items():
        setattr(host, name, value)
    host.save(update_fields=list(fields))
    return recovered


def _failed(host: Host, error: AdapterError, now: datetime) -> None:
    sentence = _lack(host) or error.sentence
    before = (host.libvirt_failing_since is not None, host.libvirt_error)
    Host.objects.filter(pk=host.pk, libvirt_failing_since=None).update(libvirt_failing_since=now)
    Host.objects.filter(pk=host.pk).update(libvirt_error=sentence)
    host.refresh_from_db()
    if before != (True, sentence):
        bus.publish("inventory")


def _lack(host: Host) -> str:
    """The plain reason why libvirt cannot be asked, where the look over SSH found it."""
    for lack in host.missing:
        if lack["what"] == "libvirt":
            return f"{host.name} has no libvirt. Install it there: {lack['command']}."
        if lack["what"] == "a running libvirt":
            return f"libvirt does not run on {host.name}. Start it there: {lack['command']}."
        if lack["what"] == "access to libvirt":
            return f"On {host.name} {lack['why']}. Run there: {lack['command']}."
    return ""

"""Read a host's VMs and virtual disks from its libvirt, and write down what changed.

Nothing is forgotten when it vanishes: it is marked missing since then. A libvirt that does not
answer changes nothing but the host's own `libvirt_failing_since`.
"""

import logging
import time
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from hosts.models import VM, Host
from hosts.services.checks import odd_answers
from hosts.services.inventory import claims, vm_troubles
from hosts.services.inventory import disks as inventory_disks
from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.libvirt.answers import Report, Reports
from labpanel.adapters.libvirt.hypervisor import pool
from labpanel.adapters.libvirt.uses.inventory import ReadsDomains
from labpanel.adapters.libvirt.xml import rehearsal_xml
from labpanel.adapters.redis import bus
from labpanel.lib.clock import SLACK
from labpanel.lib.vm_state import DiskError, Reason

DiskErrors = dict[str, dict[str, DiskError]]
log = logging.getLogger(__name__)
VERSIONS_SECONDS = 600
# VMs that a host has or had: they are kept when they are gone.
MOST_KNOWN = 2000
_asked_versions: dict[int, float] = {}


def take_inventory(host: Host, now: datetime) -> bool:
    """Look and write down; True when libvirt answered. Publishes `inventory` on change."""
    libvirt = pool.of(host.endpoint())
    try:
        versions = _versions(host, libvirt)
        reports = libvirt.inventory()
    except AdapterError as error:
        _failed(host, error, now)
        return False
    try:
        sizes = libvirt.disk_sizes()
    except AdapterError as error:
        # One QEMU that hangs can hold this up, once: the VMs are known all the same.
        log.info("no sizes of the disks on %s: %s", host, error.sentence)
        sizes = {}
    errors = _disk_errors(host, libvirt, reports)
    if record(host, versions, reports, sizes, now, errors):
        bus.publish("inventory")
    inventory_disks.look_at_images(host)
    return True


def _disk_errors(host: Host, libvirt: ReadsDomains, reports: Reports) -> DiskErrors:
    """What stopped the disks of VMs that are paused by an error of one; only those are asked."""
    stopped = [one.uuid for one in reports.domains if one.reason is Reason.IO_ERROR]
    if not stopped:
        return {}
    try:
        return libvirt.disk_errors(stopped)
    except AdapterError as error:
        log.info("no errors of the disks on %s: %s", host, error.sentence)
        return {}


def _versions(host: Host, libvirt: ReadsDomains) -> dict[str, int]:
    """libvirt's and QEMU's versions, asked for once in a while: some libvirts start a QEMU to
    answer, at a second of CPU each time."""
    asked = _asked_versions.get(host.pk)
    if asked and host.qemu_version and time.monotonic() - asked < VERSIONS_SECONDS:
        return {}
    versions = libvirt.versions()
    _asked_versions[host.pk] = time.monotonic()
    return versions


def record(
    host: Host,
    versions: dict[str, int],
    reports: Reports,
    sizes: dict[str, dict[str, list[int | None]]],
    now: datetime,
    errors: DiskErrors | None = None,
) -> bool:
    """Write a good answer down in one transaction; True when something changed."""
    with transaction.atomic():
        last = Host.objects.select_for_update().get(pk=host.pk).libvirt_seen_at
        if last is not None and now < last <= now + SLACK:
            return False  # a newer answer was already stored
        changed = _save_host(host, versions, now)
        troubles = vm_troubles.VMLook(host, now, errors or {})
        seen = []
        for report in filter(_is_of_the_owner, reports.domains):
            vm, vm_changed = _record_vm(troubles, report, sizes.get(report.uuid, {}))
            changed |= vm_changed
            if vm is not None:
                seen.append(vm.pk)
        troubles.note()
        VM.objects.filter(pk__in=seen).update(seen_at=now)
        if reports.whole:
            gone = VM.objects.filter(host=host, missing_since=None).exclude(pk__in=seen)
            changed |= bool(gone.exclude(uuid__in=reports.unread).update(missing_since=now))
        vm_troubles.note_gone(host, now)
        claims.note(host, reports, now)
        full = f"{host.name} has named more than {MOST_KNOWN} VMs: no new one is noted."
        more = (full,) if host.vms.count() >= MOST_KNOWN else ()
        odd_answers.note(host, "libvirt", (*more, *reports.odd), now)
    return changed


def _is_of_the_owner(report: Report) -> bool:
    """A rehearsal of the panel's own comes and goes; it is not a VM."""
    return report.persistent or not rehearsal_xml.is_rehearsal(report.xml)


def _record_vm(
    look: vm_troubles.VMLook, report: Report, sizes: dict[str, list[int | None]]
) -> tuple[VM | None, bool]:
    """The VM's row and whether anything of it changed; None when it is another host's."""
    host, now = look.host, look.now
    fields = {
        "name": report.name,
        "state": report.state,
        "persistent": report.persistent,
        "autostart": report.autostart,
        "vcpus": report.top.vcpus,
        "memory_bytes": report.top.memory_bytes,
        "xml": report.xml,
        "inactive_xml": report.inactive_xml,
        "missing_since": None,
    }
    vm = VM.objects.filter(uuid=report.uuid).select_related("host").first()
    moved = vm is not None and vm.host_id != host.pk
    if vm is None and host.vms.count() >= MOST_KNOWN:
        return None, False
    if vm is None:
        times = {"first_seen_at": now, "seen_at": now}
        fields |= look.at(None, report)
        vm, changed = VM.objects.create(uuid=report.uuid, host=host, **fields, **times), True
    elif moved and vm.missing_since is None:
        return None, False  # its host still has it, or cannot be asked (claims.py)
    else:
        fields |= look.at(vm, report, moved=moved)
        changed = _update(vm, {**fields, "host_id": host.pk})
    merged = inventory_disks.merge(report.top, report.below, on=vm.is_on)
    whole = not report.top.odd and not (report.below and report.below.odd)
    return vm, inventory_disks.record(
        host, vm, merged, sizes, now, moved=moved, whole=whole
    ) or changed


def _update(vm: VM, fields: dict[str, Any]) -> bool:
    changed = [name for name, value in fields.items() if getattr(vm, name) != value]
    for name in changed:
        setattr(vm, name, fields[name])
    if changed:
        vm.save(update_fields=[name.removesuffix("_id") for name in changed])
    return bool(changed)


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
    # One in the future was written by a clock that was ahead.
    first = Q(libvirt_failing_since=None) | Q(libvirt_failing_since__gt=now)
    Host.objects.filter(first, pk=host.pk).update(libvirt_failing_since=now)
    refused = isinstance(error, Refused)
    Host.objects.filter(pk=host.pk).update(libvirt_error=sentence, libvirt_refused=refused)
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

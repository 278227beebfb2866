"""One turn of samples of one host: its VMs through libvirt, the host itself through SSH.

Two verbs, two tasks: a libvirt that hangs costs no reading of the host, and the other way round.
A turn that fails leaves a gap; whether the host is well is the probe's matter (machines/probe.py).
"""

import json
import logging
import math
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.utils import timezone

from hosts.models import VM, FileSystem, Host, VirtualDisk
from hosts.rules.samples.host_rates import host_values, own_nics
from hosts.rules.samples.rates import GAP, Change, RateCounters, Values
from hosts.rules.samples.vm_rates import counters, vm_values
from hosts.services.samples.record_samples import Key, Owner, record
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.libvirt.answers import Stats
from labpanel.adapters.libvirt.hypervisor import pool
from labpanel.adapters.libvirt.xml.nics import nics_of
from labpanel.adapters.looks import proc_text
from labpanel.adapters.redis import bus
from labpanel.adapters.redis.turn_cache import RedisTurnCache, TurnCache
from labpanel.adapters.ssh.machine import Machine

DEADLINE = 5.0
# A file system's fill is looked at by the inventory; older than this it is not today's.
FILL_AGE = timedelta(minutes=5)
log = logging.getLogger(__name__)


def sample_vms(host: Host, shelf: TurnCache | None = None) -> int:
    """Sample the running VMs of `host` in one libvirt call. Returns the number of rows written."""
    at = time.time()
    try:
        answer = pool.of(host.endpoint()).stats()
    except AdapterError as error:
        log.info("no samples of the VMs on %s: %s", host.name, error)
        return 0
    return record_vms(host, answer, at, shelf or RedisTurnCache())


def record_vms(host: Host, answer: Mapping[str, Stats], at: float, shelf: TurnCache) -> int:
    """Turn libvirt's answer (UUID → fields) and the one before into rows."""
    media = _media(answer)
    key = f"vms:{host.pk}"
    before = _taken(shelf, key)
    readings: dict[str, RateCounters] = {}
    found: dict[Key, list[float]] = {}
    # Of a VM that is another host's this one may say nothing.
    own = VM.objects.filter(host=host, uuid__in=answer)
    for pk, uuid, xml in own.values_list("pk", "uuid", "xml"):
        stats = answer[str(uuid)]
        fields = counters(stats, nics_of(xml))
        reading = RateCounters(at, str(stats.get("id", "")), fields)
        readings[str(uuid)] = reading
        values = vm_values(Change(before.get(str(uuid)), reading), fields)
        for medium in media.get(pk, ()):
            values.pop(("virtual-disk", medium), None)
        found |= _owned(Owner(vm=pk), values)
    shelf.put(key, _to_keep(readings), seconds=int(GAP) + 5)
    return _finish(found, at)


def sample_machine(host: Host, shelf: TurnCache | None = None) -> int:
    """Sample the host itself: /proc in one command. Returns the number of rows written."""
    at = time.time()
    try:
        output = Machine(host.endpoint()).run(
            proc_text.COMMAND, deadline=DEADLINE, ok=None, most=proc_text.MOST_BYTES
        )
    except AdapterError as error:
        log.info("no samples of %s: %s", host.name, error.sentence)
        return 0
    return record_machine(host, output.text, at, shelf or RedisTurnCache())


def record_machine(host: Host, text: str, at: float, shelf: TurnCache) -> int:
    """Turn what the kernel's files said, and said before, into rows."""
    read = proc_text.parse(text)
    if math.isnan(read.uptime):
        log.info("no samples of %s: its /proc cannot be read", host.name)
        return 0
    systems = list(FileSystem.objects.filter(host=host, missing_since=None))
    key = f"machine:{host.pk}"
    # The host's own uptime is its time: neither a clock that is set nor a slow answer matters.
    reading = RateCounters(read.uptime, read.boot_id, read.fields)
    change = Change(_taken(shelf, key).get("host"), reading)
    devices = [name for name in _devices(host, systems) if f"disk.{name}.reads" in read.fields]
    values = host_values(change, devices, own_nics(read.nics, read.fields))
    fresh = timezone.now() - FILL_AGE
    for system in systems:
        if system.seen_at >= fresh and system.used_bytes is not None:
            free = system.available_bytes
            fill = [float(system.used_bytes), math.nan if free is None else float(free)]
            values["file-system", system.mount_point[:255]] = fill
    shelf.put(key, _to_keep({"host": reading}), seconds=int(GAP) + 5)
    return _finish(_owned(Owner(host=host.pk), values), at)


def _finish(found: dict[Key, list[float]], at: float) -> int:
    written = record(found, at)
    if written:
        bus.publish("samples")
    return written


def _owned(owner: Owner, values: Values) -> dict[Key, list[float]]:
    return {Key(owner, kind, name): row for (kind, name), row in values.items()}


def _media(answer: Iterable[str]) -> dict[int, set[str]]:
    """VM → the targets of its CD-ROM and floppy drives, which are not sampled."""
    media: dict[int, set[str]] = {}
    drives = VirtualDisk.objects.filter(vm__uuid__in=list(answer), device__in=("cdrom", "floppy"))
    for vm, target in drives.values_list("vm", "target"):
        media.setdefault(vm, set()).add(target)
    return media


def _devices(host: Host, systems: Iterable[FileSystem]) -> list[str]:
    """The drives that this host's file systems lie on, and those that the inventory knows.

    /proc/diskstats may show more: on the practice lab it shows those of all hosts.
    """
    paths = list(host.physical_disks.filter(missing_since=None).values_list("device", flat=True))
    paths += [system.block_chain[-1]["name"] for system in systems if system.block_chain]
    return sorted({path.rpartition("/")[2] for path in paths})


def _taken(shelf: TurnCache, key: str) -> dict[str, RateCounters]:
    kept = shelf.take(key)
    if kept is None:
        return {}
    return {name: RateCounters(*parts) for name, parts in json.loads(kept).items()}


def _to_keep(readings: dict[str, RateCounters]) -> bytes:
    kept = {name: (read.at, read.life, read.fields) for name, read in readings.items()}
    return json.dumps(kept, separators=(",", ":")).encode()

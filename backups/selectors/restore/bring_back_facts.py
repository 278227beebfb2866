"""What the panel has stored of VMs in trouble: their copies, disks, and hosts to go to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Prefetch, Q

from backups.models import Exclusion, Generation
from backups.rules.copies.trust import DISTRUSTED, is_ahead
from backups.rules.restore.bring_back import RestoreHost
from backups.selectors.policies.exclusions import speaks_of
from backups.selectors.stores.silence import silence_of
from hosts.models import VM, FileSystem, Finding, Host, VirtualDisk
from hosts.rules.health.presence import of_vm
from hosts.rules.health.suspects import is_suspect
from hosts.selectors.findings import ill_hosts, open_findings
from hosts.selectors.lists import presences
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE, State
from labpanel.lib.quoted import ended

SUSPECT, SILENT, GONE = "suspect", "silent", "gone"


@dataclass(frozen=True, slots=True)
class VMTrouble:
    """Why a VM cannot be relied on where it is: `kind` is SUSPECT, SILENT or GONE. Copies that were
    made after `good_until` are not trusted."""

    kind: str
    sentence: str
    since: datetime | None
    good_until: datetime


def trouble_of(vm: VM, findings: Sequence[Finding], now: datetime) -> VMTrouble | None:
    touching = [
        each for each in findings if is_suspect(each.kind, each.severity) and vm in each.vms.all()
    ]
    until = min((each.opened_at for each in touching), default=now)
    if vm.missing_since is not None:
        return VMTrouble(
            GONE, f"{vm.host.name} does not have it any more.", vm.missing_since, until
        )
    seen = of_vm(*presences(vm.host, now))
    if not seen.is_up:
        return VMTrouble(SILENT, f"{vm.host.name} does not answer.", seen.since, until)
    if touching:
        return VMTrouble(SUSPECT, ended(touching[0].sentence), until, until)
    return None


@dataclass(frozen=True, slots=True)
class BringBackFacts:
    """What was read for all of them at once."""

    copies: Mapping[UUID, Sequence[Generation]]
    disks: Mapping[UUID, Sequence[VirtualDisk]]
    hosts: Mapping[str, Host]
    places: Sequence[RestoreHost]
    names: Mapping[str, set[str]]
    jobs: Mapping[str, Job]
    living: Mapping[str, VM]
    now: datetime


def known_of(
    vms: Sequence[VM], troubles: Mapping[UUID, VMTrouble], now: datetime
) -> BringBackFacts:
    hosts = {host.name: host for host in Host.objects.prefetch_related("file_systems__images")}
    everyone = list(VM.objects.filter(missing_since=None).select_related("host").defer(*_LONG))
    jobs = _jobs(vms, troubles)
    names: dict[str, set[str]] = {}
    for vm in everyone:
        names.setdefault(vm.host.name, set()).add(vm.name)
    return BringBackFacts(
        copies=_copies(vms, troubles, now),
        disks=_disks(vms),
        hosts=hosts,
        places=_places(list(hosts.values()), everyone, now),
        names=names,
        jobs=jobs,
        living={str(vm.uuid): vm for vm in everyone},
        now=now,
    )


_LONG = ("xml", "inactive_xml")
_NEWEST = 60  # copies of one VM that are looked through


def _copies(
    vms: Sequence[VM], troubles: Mapping[UUID, VMTrouble], now: datetime
) -> dict[UUID, list[Generation]]:
    """Whole copies from before the trouble, newest first, in stores that can be read."""
    wanted = Q()
    for vm in vms:
        wanted |= Q(vm_uuid=vm.uuid, taken_at__lte=troubles[vm.uuid].good_until)
    whole = Generation.objects.filter(wanted, state=Generation.State.COMPLETE)
    trusted = whole.exclude(trust__in=DISTRUSTED).select_related("store__host").defer("manifest")
    found: dict[UUID, list[Generation]] = {}
    for each in trusted.order_by("-taken_at").prefetch_related("disks")[: _NEWEST * len(vms)]:
        if not silence_of(each.store, now) and not is_ahead(each.taken_at, now):
            found.setdefault(each.vm_uuid, []).append(each)
    return found


def _disks(vms: Sequence[VM]) -> dict[UUID, list[VirtualDisk]]:
    """Disks that hold data and that their owner did not take out."""
    exclusions = Prefetch("vm__exclusions", Exclusion.objects.order_by("pk"))
    rows = VirtualDisk.objects.filter(vm__in=vms, missing_since=None).select_related(
        "vm", "file_system"
    )
    found: dict[UUID, list[VirtualDisk]] = {}
    for disk in rows.prefetch_related("file_system__drives", exclusions):
        out = any(
            each.target == disk.target and speaks_of(each, disk.first_seen_at)
            for each in disk.vm.exclusions.all()
        )
        if disk.holds_data and not out:
            found.setdefault(disk.vm.uuid, []).append(disk)
    return found


def _places(hosts: Sequence[Host], vms: Sequence[VM], now: datetime) -> list[RestoreHost]:
    """Hosts that are well, with what their VMs leave."""
    ill = ill_hosts(open_findings())
    found = []
    for host in hosts:
        if host.pk in ill or not of_vm(*presences(host, now)).is_up:
            continue
        taken = sum(vm.memory_bytes for vm in vms if vm.host_id == host.pk and vm.is_on)
        left = None if host.memory_bytes is None else host.memory_bytes - taken
        found.append(RestoreHost(host.name, left, _room(host)))
    return found


def _room(host: Host) -> int | None:
    """Bytes free where images lie; before the first one, where most is free."""
    mounts = [each for each in host.file_systems.all() if each.missing_since is None]
    holding = [each for each in mounts if _holds_images(each)] or mounts
    return max((each.available_bytes for each in holding if each.available_bytes), default=None)


def _holds_images(mount: FileSystem) -> bool:
    return any(image.missing_since is None for image in mount.images.all())


def _jobs(vms: Sequence[VM], troubles: Mapping[UUID, VMTrouble]) -> dict[str, Job]:
    """The newest job that brings or brought each of them back since its trouble began."""
    rows = Job.objects.filter(
        kind__in=("restore", "instant"),
        state__in=[*ACTIVE, State.DONE],
        parameters__of__in=[str(vm.uuid) for vm in vms],
    )
    found: dict[str, Job] = {}
    for job in rows.order_by("pk").only("title", "state", "parameters", "created_at", "result"):
        of = str(job.parameters["of"])
        since = troubles[UUID(of)].since
        if job.is_active or since is None or job.created_at >= since - timedelta(seconds=1):
            found[of] = job
    return found

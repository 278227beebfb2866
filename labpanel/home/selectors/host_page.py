"""Everything that the page of one host shows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from backups.models import Store
from backups.selectors.coverage import coverage
from backups.selectors.exposure import Death, deaths
from backups.selectors.speeds import speeds
from hosts.models import FileSystem, Finding, Host, PhysicalDisk
from hosts.rules.presence import Presence
from hosts.selectors.findings import DriveState, checked, drives, open_findings
from labpanel.home.selectors.copies import by_vm, copy_state
from labpanel.home.selectors.latest import NOTHING, Latest, latest_by_owner, latest_of
from labpanel.home.selectors.overview import VMLine, host_presence, host_word


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive, what it said last, and the VMs whose images lie on it."""

    state: DriveState
    vms: list[str]


@dataclass(frozen=True, slots=True)
class Mount:
    file_system: FileSystem
    level: str
    word: str
    vms: list[str]


@dataclass(frozen=True, slots=True)
class HostPage:
    host: Host
    level: str
    word: str
    presence: Presence
    checked: bool
    findings: list[Finding]
    load: Latest
    devices: list[Latest]
    nics: list[Latest]
    mounts: list[Mount]
    drives: list[Drive]
    vms: list[VMLine]
    death: Death
    stores: list[Store]

    @property
    def sure(self) -> bool:
        return self.presence.state == "up"

    @property
    def silent(self) -> list[str]:
        """Drives that gave no data: nothing good is said of them."""
        return [each.state.disk.device for each in self.drives if each.state.level == "unknown"]


def host_page(host: Host, now: datetime) -> HostPage:
    findings = open_findings(host)
    state = host_presence(host, now)
    looked_at = host.pk in checked(now)
    level, word = host_word(host, findings, state, checked=looked_at)
    latest = latest_of(host, now)
    rows = coverage(now, host=host)
    samples, disks = latest_by_owner("vm", now), by_vm(rows)
    vms = host.vms.filter(missing_since=None).defer("xml", "inactive_xml")
    known = state.state == "up"
    return HostPage(
        host=host,
        level=level,
        word=word,
        presence=state,
        checked=looked_at,
        findings=findings,
        load=next(iter(latest.get("host", [])), NOTHING),
        devices=latest.get("block-device", []),
        nics=latest.get("host-nic", []),
        mounts=_mounts(host, findings, known=known),
        drives=_drives(host),
        vms=[
            VMLine(vm, known, samples.get(vm.pk, NOTHING), copy_state(disks.get(vm.uuid, []), now))
            for vm in vms
        ],
        death=deaths([host], rows, speeds(), now)[0],
        stores=list(host.stores.all()),
    )


def _mounts(host: Host, findings: Iterable[Finding], *, known: bool) -> list[Mount]:
    mounts = host.file_systems.filter(missing_since=None).prefetch_related("images__vm")
    found = []
    for mount in mounts:
        level, word = _verdict(findings, "file-system", {mount.mount_point}, known=known)
        vms = sorted({disk.vm.name for disk in mount.images.all() if not disk.missing_since})
        found.append(Mount(mount, level, word, vms))
    return sorted(found, key=lambda each: each.level != "bad")


def _drives(host: Host) -> list[Drive]:
    carried = _carried(host)
    order = ("bad", "watch", "unknown", "good")
    states = [each for each in drives(host) if each.disk.missing_since is None]
    states.sort(key=lambda each: order.index(each.level))
    return [Drive(each, sorted(carried.get(each.disk.pk, ()))) for each in states]


def _carried(host: Host) -> dict[int, set[str]]:
    """Names of the VMs with an image on each drive, by the drive's pk. One query."""
    links = PhysicalDisk.objects.filter(
        host=host, file_systems__images__missing_since=None, file_systems__images__isnull=False
    ).values_list("pk", "file_systems__images__vm__name")
    found: dict[int, set[str]] = {}
    for pk, name in links:
        found.setdefault(pk, set()).add(name)
    return found


def _verdict(
    findings: Iterable[Finding], kind: str, subjects: set[str], *, known: bool
) -> tuple[str, str]:
    for finding in findings:
        if finding.kind == kind and finding.subject in subjects:
            return finding.severity, "in trouble" if finding.severity == "bad" else "to be watched"
    return ("good", "well") if known else ("unknown", "unknown")

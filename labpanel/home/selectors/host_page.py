"""Everything that the page of one host shows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from backups.models import Store
from backups.selectors.coverage.exposure import Death, deaths
from backups.selectors.restore.bring_back import BringAll, bring_backs, losses_of
from backups.selectors.stores.speeds import speeds
from hosts.models import FileSystem, Finding, Host, PhysicalDisk
from hosts.rules.health.presence import Presence
from hosts.selectors.findings import DriveState, drives
from labpanel.home.selectors.latest import NOTHING, Latest, latest_of
from labpanel.home.selectors.overview import VMLine, host_word, vm_lines
from labpanel.home.selectors.wrong import facts, wrong
from labpanel.home.state import SILENT, Headline
from labpanel.symptoms.kinds import Kind


@dataclass(frozen=True, slots=True)
class DriveRow:
    """A drive, what it said last, and the VMs whose images lie on it."""

    state: DriveState
    vms: list[str]


@dataclass(frozen=True, slots=True)
class MountRow:
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
    mounts: list[MountRow]
    drives: list[DriveRow]
    vms: list[VMLine]
    death: Death
    stores: list[Store]
    bring: BringAll
    wrong: list[Headline]

    @property
    def silence(self) -> Headline | None:
        """That it does not answer, where no finding says so."""
        return next((each for each in self.wrong if each.kind == SILENT), None)

    @property
    def sure(self) -> bool:
        return self.presence.state == "up"

    @property
    def silent(self) -> list[str]:
        """Drives that gave no data: nothing good is said of them."""
        return [each.state.disk.device for each in self.drives if each.state.level == "unknown"]


def host_page(host: Host, now: datetime) -> HostPage:
    about = facts(now, host)
    findings, rows, vms = about.findings, about.rows, about.vms
    state = about.presences[host.pk]
    looked_at = host.pk in about.looked_at
    level, word = host_word(host, findings, state, checked=looked_at)
    latest = latest_of(host, now)
    death = deaths([host], rows, speeds(), now)[0]
    back = bring_backs(vms, findings, losses_of([death]), now)
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
        drives=_drives(host, now),
        vms=vm_lines(vms, {host.pk} if state.state == "up" else set(), rows, findings, now),
        death=death,
        stores=list(host.stores.all()),
        bring=BringAll(host, tuple(back.values())),
        wrong=wrong(about),
    )


def _mounts(host: Host, findings: Iterable[Finding], *, known: bool) -> list[MountRow]:
    mounts = host.file_systems.filter(missing_since=None).prefetch_related("images__vm")
    found = []
    for mount in mounts:
        level, word = _verdict(findings, Kind.FILE_SYSTEM, {mount.mount_point}, known=known)
        vms = sorted({disk.vm.name for disk in mount.images.all() if not disk.missing_since})
        found.append(MountRow(mount, level, word, vms))
    return sorted(found, key=lambda each: each.level != "bad")


def _drives(host: Host, now: datetime) -> list[DriveRow]:
    carried = _carried(host)
    order = ("bad", "watch", "unknown", "good")
    states = [each for each in drives(host, now) if each.disk.missing_since is None]
    states.sort(key=lambda each: order.index(each.level))
    return [DriveRow(each, sorted(carried.get(each.disk.pk, ()))) for each in states]


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
    findings: Iterable[Finding], kind: Kind, subjects: set[str], *, known: bool
) -> tuple[str, str]:
    for finding in findings:
        if finding.kind == kind and finding.subject in subjects:
            return finding.severity, "in trouble" if finding.severity == "bad" else "to be watched"
    return ("good", "well") if known else ("unknown", "unknown")

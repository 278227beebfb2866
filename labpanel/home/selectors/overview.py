"""The overview: the lab in one sentence, what a death would cost, hosts and VMs. Worst first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from backups.models import Store
from backups.rules.coverage import LEVEL_ORDER
from backups.selectors.coverage import CoverageRow, coverage
from backups.selectors.exposure import Death, deaths
from backups.selectors.speeds import speeds
from hosts.models import VM, Finding, Host
from hosts.rules.presence import Presence, presence
from hosts.selectors.findings import checked, open_findings
from labpanel.home.selectors.copies import Copy, by_vm, copy_state
from labpanel.home.selectors.latest import NOTHING, Latest, latest_by_owner
from labpanel.home.state import DiskState, Say, Silence, say


@dataclass(frozen=True, slots=True)
class HostLine:
    host: Host
    level: str
    word: str
    latest: Latest
    presence: Presence

    @property
    def cpu_percent(self) -> float | None:
        """Work alone: user and system time, in percent of all CPUs."""
        values = self.latest.values
        if "cpu_user" not in values:
            return None
        return values["cpu_user"] + values.get("cpu_system", 0.0)


@dataclass(frozen=True, slots=True)
class VMLine:
    vm: VM
    known: bool
    latest: Latest
    copy: Copy

    @property
    def memory_used(self) -> float | None:
        return self.latest.values.get("memory_used")


@dataclass(frozen=True, slots=True)
class Overview:
    say: Say
    deaths: list[Death]
    hosts: list[HostLine]
    vms: list[VMLine]
    has_store: bool
    findings: list[Finding] = field(default_factory=list)


def overview(now: datetime) -> Overview:
    """Everything on the page; the number of queries does not depend on what is there."""
    hosts = list(Host.objects.all())
    seen = VM.objects.filter(missing_since=None)
    vms = list(seen.defer("xml", "inactive_xml").prefetch_related("host"))
    findings, rows = open_findings(), coverage(now)
    lines = _hosts(hosts, findings, now)
    up = {line.host.pk for line in lines if line.presence.state == "up"}
    return Overview(
        say=_say(findings, lines, vms, rows),
        deaths=sorted(deaths(hosts, rows, speeds(), now), key=_cost),
        hosts=lines,
        vms=_vms(vms, up, rows, now),
        has_store=Store.objects.exists(),
        findings=findings,
    )


def _say(
    findings: list[Finding], lines: list[HostLine], vms: list[VM], rows: list[CoverageRow]
) -> Say:
    silences = [
        Silence(
            line.host.name,
            line.presence.since,
            line.presence.reason,
            tuple(vm.name for vm in vms if vm.host_id == line.host.pk),
        )
        for line in lines
        if line.presence.state != "up" and not _told(findings, line.host)
    ]
    disks = [DiskState(row.vm, row.disk, row.level, row.reason) for row in rows]
    unchecked = [line.host.name for line in lines if line.word == NOT_CHECKED]
    return say(_worst_first(findings), silences, disks, len(lines), len(vms), unchecked)


def _told(findings: Sequence[Finding], host: Host) -> bool:
    """Whether a finding already says that the host, or its libvirt, does not answer."""
    return any(each.host_id == host.pk and each.kind in {"host", "libvirt"} for each in findings)


def _worst_first(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: (each.severity != "bad", each.opened_at))


def host_presence(host: Host, now: datetime) -> Presence:
    """Of the two doors the one that is shut, else SSH's."""
    machine = presence(host.seen_at, host.failing_since, host.error, now)
    if machine.state != "up" or host.libvirt_seen_at is None:
        return machine
    libvirt = presence(host.libvirt_seen_at, host.libvirt_failing_since, host.libvirt_error, now)
    return machine if libvirt.state == "up" else libvirt


def _hosts(hosts: list[Host], findings: list[Finding], now: datetime) -> list[HostLine]:
    samples, looked_at = latest_by_owner("host", now), checked(now)
    lines = []
    for host in hosts:
        state = host_presence(host, now)
        own = [each for each in findings if each.host_id == host.pk]
        level, word = host_word(host, own, state, checked=host.pk in looked_at)
        lines.append(HostLine(host, level, word, samples.get(host.pk, NOTHING), state))
    return sorted(lines, key=lambda line: LEVEL_ORDER.index(line.level))


NOT_CHECKED = "not checked yet"
_KIND_WORDS = {"file-system": "cannot write", "drive": "drive in trouble"}


def host_word(
    host: Host, findings: Sequence[Finding], state: Presence, *, checked: bool
) -> tuple[str, str]:
    """Level and one or two words for a row. Nothing is well that was not checked recently."""
    worst = next(iter(_worst_first(list(findings))), None)
    if worst is not None and worst.severity == "bad":
        return "bad", _KIND_WORDS.get(worst.kind, "in trouble")
    if state.state == "never":
        return "unknown", "not seen yet"
    if state.state != "up":
        return "unknown", "does not answer"
    if worst is not None:
        return "watch", "to be watched"
    if host.missing:
        return "watch", "something is missing"
    if not checked:
        return "unknown", NOT_CHECKED
    return "good", "well"


def _vms(vms: list[VM], up: set[int], rows: list[CoverageRow], now: datetime) -> list[VMLine]:
    samples, disks = latest_by_owner("vm", now), by_vm(rows)
    lines = [
        VMLine(
            vm,
            vm.host_id in up,
            samples.get(vm.pk, NOTHING),
            copy_state(disks.get(vm.uuid, []), now),
        )
        for vm in vms
    ]
    return sorted(lines, key=lambda line: LEVEL_ORDER.index(line.copy.level))


def _cost(death: Death) -> int:
    return min((LEVEL_ORDER.index(loss.level) for loss in death.losses), default=len(LEVEL_ORDER))

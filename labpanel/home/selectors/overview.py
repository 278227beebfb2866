"""The overview: the lab in one sentence, what a death would cost, hosts and VMs. Worst first."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from backups.models import Store
from backups.rules.coverage.coverage import LEVEL_ORDER
from backups.selectors.coverage.coverage import CoverageRow
from backups.selectors.coverage.exposure import Death, deaths
from backups.selectors.restore.bring_back import BringAll, bring_backs, losses_of
from backups.selectors.stores.speeds import speeds
from hosts.models import VM, Finding, Host
from hosts.rules.health.condition import Condition
from hosts.rules.health.presence import Presence
from labpanel.home.selectors.conditions import row_condition
from labpanel.home.selectors.copies import CopyState, by_vm, copy_state
from labpanel.home.selectors.latest import NOTHING, Latest, latest_by_owner
from labpanel.home.selectors.wrong import LabFacts, disks_of, facts, wrong
from labpanel.home.state import Headline, first_of
from labpanel.symptoms.kinds import About


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
    copy: CopyState
    condition: Condition

    @property
    def memory_used(self) -> float | None:
        return self.latest.values.get("memory_used")


@dataclass(frozen=True, slots=True)
class Overview:
    headline: Headline
    deaths: list[Death]
    hosts: list[HostLine]
    vms: list[VMLine]
    has_store: bool
    bring: BringAll | None
    findings: list[Finding] = field(default_factory=list)


def overview(now: datetime) -> Overview:
    """Everything on the page; the number of queries does not depend on what is there."""
    known = facts(now)
    lines, findings = _hosts(known), known.findings
    up = {pk for pk, seen in known.presences.items() if seen.state == "up"}
    told = first_of(wrong(known), disks_of(known.rows), len(lines), len(known.vms))
    costs = deaths(known.hosts, known.rows, speeds(), now)
    gone = {vm for each in findings for vm in each.vms.all() if vm.missing_since}
    back = bring_backs([*known.vms, *gone], findings, losses_of(costs), now)
    ailing = next((host for host in known.hosts if host.name == told.host), None)
    return Overview(
        headline=told,
        deaths=sorted(costs, key=_cost),
        hosts=lines,
        vms=vm_lines(known.vms, up, known.rows, findings, now),
        has_store=Store.objects.exists(),
        bring=BringAll(ailing, tuple(one for one in back.values() if one.vm.host_id == ailing.pk))
        if ailing
        else None,
        findings=findings,
    )


def _worst_first(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda each: (each.severity != "bad", each.opened_at))


def _hosts(known: LabFacts) -> list[HostLine]:
    samples = latest_by_owner("host", known.now)
    lines = []
    for host in known.hosts:
        state = known.presences[host.pk]
        own = [each for each in known.findings if each.host_id == host.pk]
        level, word = host_word(host, own, state, checked=host.pk in known.looked_at)
        lines.append(HostLine(host, level, word, samples.get(host.pk, NOTHING), state))
    return sorted(lines, key=lambda line: LEVEL_ORDER.index(line.level))


NOT_CHECKED = "not checked yet"
_KIND_WORDS = {
    "file-system": "cannot write",
    "drive": "drive in trouble",
    "unreadable": "cannot read",
    "room": "little room",
}


def host_word(
    host: Host, findings: Sequence[Finding], state: Presence, *, checked: bool
) -> tuple[str, str]:
    """Level and one or two words for a row. Nothing is well that was not checked recently."""
    own = [each for each in findings if each.about == About.HOST]
    worst = next(iter(_worst_first(own)), None)
    if worst is not None and worst.severity == "bad":
        return "bad", _KIND_WORDS.get(worst.kind, "in trouble")
    if state.state == "never":
        return "unknown", "not seen yet"
    if state.state != "up":
        refuses = host.refused and host.failing_since is not None
        return "unknown", "refuses the panel" if refuses else "does not answer"
    if worst is not None:
        return "watch", "to be watched"
    if host.missing:
        return "watch", "something is missing"
    if not checked:
        return "unknown", NOT_CHECKED
    return "good", "well"


def vm_lines(
    vms: Sequence[VM],
    up: Container[int],
    rows: Sequence[CoverageRow],
    findings: Sequence[Finding],
    now: datetime,
) -> list[VMLine]:
    """Worst first: of host, VM and copies. `up` are the keys of hosts that answer."""
    samples, disks = latest_by_owner("vm", now), by_vm(rows)
    lines = []
    for vm in vms:
        known, copy = vm.host_id in up, copy_state(disks.get(vm.uuid, []), now)
        state = row_condition(vm, findings, copy, known=known)
        lines.append(VMLine(vm, known, samples.get(vm.pk, NOTHING), copy, state))
    return sorted(lines, key=lambda line: LEVEL_ORDER.index(line.condition.level))


def _cost(death: Death) -> int:
    return min((LEVEL_ORDER.index(loss.level) for loss in death.losses), default=len(LEVEL_ORDER))

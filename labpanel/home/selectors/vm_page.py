"""Everything that the page of one VM shows."""

from dataclasses import dataclass
from datetime import datetime

from backups.models import Store
from backups.selectors.copies.time_line import Moment, moments
from backups.selectors.coverage.coverage import CoverageRow, coverage
from backups.selectors.coverage.exposure import deaths
from backups.selectors.policies.policy_rows import PolicyRow, policy_row_of
from backups.selectors.restore.bring_back import BringBack, bring_backs, losses_of
from backups.selectors.stores.speeds import speeds
from hosts.models import VM, Finding, Host, VirtualDisk
from hosts.rules.health.condition import Condition
from hosts.rules.health.presence import Presence
from hosts.selectors.findings import RESUME, START, acts, open_findings
from labpanel.home.selectors.conditions import own_condition
from labpanel.home.selectors.copies import CopyState, copy_state
from labpanel.home.selectors.latest import NOTHING, Latest, latest_of
from labpanel.home.selectors.wrong import host_presence
from labpanel.jobs.models import Job
from labpanel.moves.selectors.targets import move_targets

GENERATIONS = 8
JOBS = 6


@dataclass(frozen=True, slots=True)
class DiskRow:
    """A virtual disk, its coverage and its last values."""

    disk: VirtualDisk
    row: CoverageRow | None
    latest: Latest


@dataclass(frozen=True, slots=True)
class VMPage:
    vm: VM
    presence: Presence
    copy: CopyState
    findings: list[Finding]
    load: Latest
    disks: list[DiskRow]
    media: list[VirtualDisk]
    nics: list[Latest]
    moments: list[Moment]
    active: Job | None
    jobs: list[Job]
    targets: list[Host]
    stores: list[Store]
    policy: PolicyRow | None
    bring: BringBack | None
    condition: Condition

    @property
    def known(self) -> bool:
        return self.presence.state == "up" and self.vm.missing_since is None

    @property
    def state(self) -> Condition:
        """As its own page says it: one that is off is neither good nor bad, one that runs in
        trouble still runs."""
        own = self.condition
        if not self.vm.is_on and own.level == "good":
            return Condition("none", own.words)
        if self.vm.state == VM.State.RUNNING and own.level == "bad":
            return Condition("bad", f"runs, but {own.words}")
        return own

    @property
    def acted(self) -> bool:
        """Whether a finding itself offers to start or resume it: then that comes first."""
        return any({START, RESUME} & set(acts(each)) for each in self.findings)

    @property
    def first_power(self) -> str:
        """What comes before all else where no finding offers it: resume or start; or empty."""
        if self.acted or not self.known:
            return ""
        if self.vm.state == VM.State.PAUSED:
            return "resume"
        return "" if self.vm.is_on else "start"

    @property
    def left_out(self) -> list[str]:
        """What the VM has, and its copies have not, each once."""
        rows = (disk.row for disk in self.disks if disk.row)
        return list(dict.fromkeys(said for row in rows for said in row.left_out))

    @property
    def to_trust(self) -> bool:
        """Whether a copy made now is one to rely on: not of disks that are suspect."""
        return self.bring is None

    @property
    def memory_used(self) -> float | None:
        return self.load.values.get("memory_used")


def vm_page(vm: VM, now: datetime) -> VMPage:
    rows = coverage(now, vm)
    latest = latest_of(vm, now)
    jobs = list(Job.objects.filter(subject=f"vm:{vm.uuid}")[:JOBS])
    all_disks = list(vm.disks.filter(missing_since=None))
    findings = open_findings()
    losses = losses_of(deaths([vm.host], rows, speeds(), now))
    bring = bring_backs([vm], findings, losses, now).get(vm.uuid)
    return VMPage(
        vm=vm,
        presence=host_presence(vm.host, now),
        copy=copy_state(rows, now),
        findings=[each for each in findings if vm in each.vms.all()],
        load=next(iter(latest.get("vm", [])), NOTHING),
        disks=_disks(all_disks, rows, latest.get("virtual-disk", [])),
        media=[disk for disk in all_disks if not disk.holds_data],
        nics=latest.get("nic", []),
        moments=moments(vm, GENERATIONS),
        active=next((job for job in jobs if job.is_active), None),
        jobs=jobs,
        targets=move_targets(vm, now),
        stores=list(Store.objects.select_related("host")),
        policy=policy_row_of(vm, now),
        bring=bring,
        condition=own_condition(vm, findings, known=host_presence(vm.host, now).is_up),
    )


def _disks(
    disks: list[VirtualDisk], rows: list[CoverageRow], latest: list[Latest]
) -> list[DiskRow]:
    """Worst first, as the rows are."""
    row_of = {row.disk: (place, row) for place, row in enumerate(rows)}
    values = {each.name: each for each in latest}
    found = [
        (row_of.get(disk.target, (len(rows), None)), disk) for disk in disks if disk.holds_data
    ]
    found.sort(key=lambda pair: pair[0][0])
    return [DiskRow(disk, row, values.get(disk.target, NOTHING)) for (_, row), disk in found]

"""Everything that the page of one VM shows."""

from dataclasses import dataclass
from datetime import datetime

from backups.models import Generation, Store
from backups.selectors.coverage import CoverageRow, coverage
from backups.selectors.policy_rows import PolicyRow, policy_row_of
from backups.selectors.time_line import Moment, moments
from hosts.models import VM, Finding, Host, VirtualDisk
from hosts.rules.presence import Presence
from hosts.selectors.findings import open_findings
from labpanel.home.selectors.copies import Copy, copy_state
from labpanel.home.selectors.latest import NOTHING, Latest, latest_of
from labpanel.home.selectors.overview import host_presence
from labpanel.jobs.models import Job

GENERATIONS = 8
JOBS = 6


@dataclass(frozen=True, slots=True)
class Disk:
    """A virtual disk, its coverage and its last values."""

    disk: VirtualDisk
    row: CoverageRow | None
    latest: Latest


@dataclass(frozen=True, slots=True)
class VMPage:
    vm: VM
    presence: Presence
    copy: Copy
    findings: list[Finding]
    load: Latest
    disks: list[Disk]
    media: list[VirtualDisk]
    nics: list[Latest]
    moments: list[Moment]
    active: Job | None
    jobs: list[Job]
    targets: list[Host]
    stores: list[Store]
    policy: PolicyRow | None

    @property
    def known(self) -> bool:
        return self.presence.state == "up" and self.vm.missing_since is None

    @property
    def newest(self) -> Generation | None:
        """The newest copy that is whole as far as is known."""
        copies = (each.generation for each in self.moments)
        return next((each for each in copies if each.state == Generation.State.COMPLETE), None)

    @property
    def memory_used(self) -> float | None:
        return self.load.values.get("memory_used")


def vm_page(vm: VM, now: datetime) -> VMPage:
    rows = coverage(now, vm)
    latest = latest_of(vm, now)
    jobs = list(Job.objects.filter(subject=f"vm:{vm.uuid}")[:JOBS])
    all_disks = list(vm.disks.filter(missing_since=None))
    return VMPage(
        vm=vm,
        presence=host_presence(vm.host, now),
        copy=copy_state(rows, now),
        findings=[each for each in open_findings(vm.host) if vm in each.vms.all()],
        load=next(iter(latest.get("vm", [])), NOTHING),
        disks=_disks(all_disks, rows, latest.get("virtual-disk", [])),
        media=[disk for disk in all_disks if not disk.holds_data],
        nics=latest.get("nic", []),
        moments=moments(vm, GENERATIONS),
        active=next((job for job in jobs if job.is_active), None),
        jobs=jobs,
        targets=list(Host.objects.exclude(pk=vm.host_id)),
        stores=list(Store.objects.select_related("host")),
        policy=policy_row_of(vm, now),
    )


def _disks(disks: list[VirtualDisk], rows: list[CoverageRow], latest: list[Latest]) -> list[Disk]:
    """Worst first, as the rows are."""
    row_of = {row.disk: (place, row) for place, row in enumerate(rows)}
    values = {each.name: each for each in latest}
    found = [
        (row_of.get(disk.target, (len(rows), None)), disk) for disk in disks if disk.holds_data
    ]
    found.sort(key=lambda pair: pair[0][0])
    return [Disk(disk, row, values.get(disk.target, NOTHING)) for (_, row), disk in found]

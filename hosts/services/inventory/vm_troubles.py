"""A VM's own troubles, from one look at its host: it crashed, is paused by an error, is off after
its host's restart, is gone, restarts again and again.

What can be seen only once (that it ran before) is written down in the transaction of the look, so
a panel that dies loses nothing. What is acknowledged does not come back without a new cause.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from hosts.models import VM, Finding, Host
from hosts.rules.health import vm_trouble as rule
from hosts.services.checks import recorder
from labpanel.adapters.libvirt.answers import Report
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.printable import printable
from labpanel.lib.vm_state import DiskError
from labpanel.symptoms.declared import kind_of
from labpanel.symptoms.facts.vms import VmCrashed, VmGone, VmOff, VmPaused, VmRestarts
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Symptom, SymptomSubject

# Jobs that start or end the VM that they are about.
_SWITCHING = ("power", "move", "restore", "instant")
_JOBS_BACK = timedelta(hours=1)
_RESTARTS_KEPT = 10
_THE_SAME = timedelta(seconds=2)
# A VM that was migrated by hand is seen at its new host a look later.
_MOVING_TAKES = timedelta(seconds=60)
_GONE_LATELY = timedelta(days=1)

VmTrouble = VmCrashed | VmPaused | VmOff | VmRestarts | VmGone


@dataclass
class VMLook:
    """One look at the VMs of a host. `errors` are what stopped the disks of paused ones."""

    host: Host
    now: datetime
    errors: dict[str, dict[str, DiskError]]
    seen: dict[str, tuple[VM, rule.DomainLook]] = field(default_factory=dict)
    _jobs_read: dict[str, list[datetime | None]] | None = None

    def at(self, vm: VM | None, report: Report, *, moved: bool = False) -> dict[str, Any]:
        """What is to be written down of a VM; `vm` is its row as it was, None of a new one."""
        known = vm if vm is not None and not moved else None
        same = known is not None and (known.state, known.state_reason) == (
            report.state,
            report.reason,
        )
        since = known.state_since if known and same and known.state_since else self.now
        seen = self._seen(known, report, since)
        if vm is not None:
            self.seen[report.uuid] = (vm, seen)
        restarts = list(known.restarts) if known else []
        if rule.has_restarted(seen):
            restarts = [*restarts, self.now.isoformat()][-_RESTARTS_KEPT:]
        restarts = self._with_reboots(restarts, report, asked=seen.asked)
        return {
            "state_reason": report.reason,
            "state_since": since,
            "run_number": report.run if report.run is not None else seen.last_run,
            "ran_in_boot": rule.boot_it_ran_in(seen),
            "restarts": restarts,
        }

    def _with_reboots(self, restarts: list[str], report: Report, *, asked: bool) -> list[str]:
        """Reboots of the guest beside restarts of its QEMU. Each of the panel's processes hears of
        the same one at its own moment; what the panel asked for is left out."""
        known = [at for at in map(parse_datetime, restarts) if at is not None]
        first = self.now - rule.RESTARTS_WITHIN
        for second in sorted(report.rebooted):
            if not first.timestamp() <= second <= self.now.timestamp():
                continue
            at = datetime.fromtimestamp(second, UTC)
            if not asked and all(abs(at - other) > _THE_SAME for other in known):
                known.append(at)
        return [at.isoformat() for at in sorted(known)][-_RESTARTS_KEPT:]

    def _seen(self, known: VM | None, report: Report, since: datetime) -> rule.DomainLook:
        return rule.DomainLook(
            name=printable(report.name),
            host=self.host.name,
            state=report.state,
            reason=report.reason,
            on=report.state in VM.ON,
            since=since,
            run=report.run,
            boot=self.host.boot_id,
            autostart=report.autostart,
            asked=known is not None and self._asked(known),
            last_run=known.run_number if known else None,
            ran_in=known.ran_in_boot if known else "",
            lasts=max(self.now - since, timedelta(0)),
            disk_errors=self.errors.get(report.uuid, {}),
        )

    def _asked(self, vm: VM) -> bool:
        ended = self._jobs().get(f"vm:{vm.uuid}", [])
        return any(at is None or at >= vm.seen_at for at in ended)

    def _jobs(self) -> dict[str, list[datetime | None]]:
        """By subject, when the jobs that start and end VMs ended; None of one that still runs.
        Read once in a look."""
        if self._jobs_read is None:
            lately = Q(state__in=ACTIVE) | Q(ended_at__gte=self.now - _JOBS_BACK)
            found: dict[str, list[datetime | None]] = defaultdict(list)
            rows = Job.objects.filter(lately, kind__in=_SWITCHING).order_by()
            for subject, ended in rows.values_list("subject", "ended_at"):
                found[subject].append(ended)
            self._jobs_read = found
        return self._jobs_read

    def note(self) -> None:
        """Open and resolve, once the rows are written."""
        uuids = list(self.seen)
        rows = Finding.objects.filter(kind__in=rule.KINDS, resolved_at=None, subject__in=uuids)
        open_ones: dict[str, list[Finding]] = defaultdict(list)
        for finding in rows.order_by():
            open_ones[finding.subject].append(finding)
        for uuid, (vm, seen) in self.seen.items():
            self._note_one(vm, seen, open_ones[uuid])

    def _note_one(self, vm: VM, seen: rule.DomainLook, open_ones: list[Finding]) -> None:
        times = [at for at in map(parse_datetime, vm.restarts) if at is not None]
        troubles: tuple[VmTrouble | None, ...] = (
            rule.trouble(seen),
            rule.again_and_again(seen.name, seen.host, times, self.now),
        )
        found = {kind_of(facts): facts for facts in troubles if facts is not None}
        for finding in open_ones:
            here = finding.host_id == self.host.pk and finding.kind in found
            if not here and self._is_over(finding, seen):
                recorder.resolve_of_vm(str(vm.uuid), [Kind(finding.kind)], self.now)
        for kind, facts in found.items():
            if not _acknowledged(kind, vm, facts.since):
                recorder.record(self.host, _symptom(vm, facts, _evidence(vm, seen)), self.now)

    def _is_over(self, finding: Finding, seen: rule.DomainLook) -> bool:
        """A trouble at another host is over once the VM is here, which it is."""
        if finding.kind == Kind.VM_RESTARTS:
            return True
        return rule.is_over(finding.kind, seen) or finding.host_id != self.host.pk


def note_gone(host: Host, now: datetime) -> None:
    """VMs that libvirt here has no more, though no job of the panel took them away."""
    lately = (now - _GONE_LATELY, now - _MOVING_TAKES)
    for vm in VM.objects.filter(host=host, missing_since__range=lately):
        assert vm.missing_since is not None
        at_work = Job.objects.filter(subject=f"vm:{vm.uuid}", kind__in=_SWITCHING)
        since = Q(state__in=ACTIVE) | Q(ended_at__gte=vm.missing_since - _MOVING_TAKES)
        facts = VmGone(
            printable(vm.name), host.name, persistent=vm.persistent, since=vm.missing_since
        )
        if at_work.filter(since).exists() or _acknowledged(Kind.VM_GONE, vm, vm.missing_since):
            continue
        others = [kind for kind in rule.KINDS if kind is not Kind.VM_GONE]
        recorder.resolve_of_vm(str(vm.uuid), others, now)
        last = f"{vm.state} ({vm.state_reason or 'unknown'})"
        evidence = (Evidence("last seen", last, "libvirt", vm.seen_at),)
        recorder.record(host, _symptom(vm, facts, evidence), now)


def _acknowledged(kind: Kind, vm: VM, since: datetime) -> bool:
    """Whether its owner has acknowledged exactly this trouble."""
    seen = Finding.objects.filter(kind=kind, subject=str(vm.uuid), resolved_at__gte=since)
    return seen.exclude(ended_by="").exists()


def _symptom(vm: VM, facts: VmTrouble, evidence: tuple[Evidence, ...]) -> Symptom:
    return Symptom(
        SymptomSubject(SubjectKind.VM, str(vm.uuid)),
        Level.BAD,
        facts,
        evidence,
        (vm.uuid,),
        facts.since,
    )


def _evidence(vm: VM, seen: rule.DomainLook) -> tuple[Evidence, ...]:
    state = Evidence("state", f"{seen.state} ({seen.reason})", "libvirt", vm.state_since)
    disks = [
        Evidence(f"disk {target}", str(error), "QEMU")
        for target, error in sorted(seen.disk_errors.items())
    ]
    restarts = [
        Evidence("started again", at, "libvirt", parse_datetime(at))
        for at in vm.restarts[-rule.RESTARTS :]
    ]
    return state, *disks, *restarts

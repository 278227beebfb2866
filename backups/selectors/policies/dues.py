"""What every policy owes every VM just now: one row for each VM and place of its policy."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from backups.models import Policy, PolicyRun, Store
from backups.rules.policies import turns
from backups.rules.policies.calendar import newest_due
from backups.selectors.coverage.new_disks import NewDisks
from backups.selectors.policies.places import Placing, PolicyPlace, with_drives
from backups.selectors.policies.policies import Policies, calendar_of
from hosts.models import VM
from hosts.rules.health.presence import of_vm, presence

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BackupDue:
    """`decision` and `until` are of rules/policies/turns.py; `last` is the newest run there was,
    for this due time or one before. `away` says why it cannot be tried now."""

    policy: Policy
    vm: VM
    place: PolicyPlace
    due_at: datetime | None
    last: PolicyRun | None
    decision: str
    until: datetime | None
    away: str = ""


def dues(now: datetime) -> list[BackupDue]:
    """Of all VMs that are not missing and have a policy; a constant number of queries."""
    known = PolicyFacts(Policies(), Placing(now), NewDisks(now), _last_runs(now))
    found = []
    for vm in with_drives(VM.objects.filter(missing_since=None)):
        policy = known.policies.of(vm)
        if policy is not None:
            for place in known.placing.of(policy, vm):
                found.append(_due(policy, vm, place, known, now))
    return found


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What is read once for all of them; `last` by policy, VM and store."""

    policies: Policies
    placing: Placing
    new_disks: NewDisks
    last: dict[tuple[int, int, int], PolicyRun]


def _due(
    policy: Policy, vm: VM, place: PolicyPlace, known: PolicyFacts, now: datetime
) -> BackupDue:
    store = place.store
    if store is None:
        return BackupDue(policy, vm, place, None, None, turns.NOTHING, None, place.why)
    last = known.last.get((policy.pk, vm.pk, store.pk))
    due_at = _due_at(policy, vm, store, known, now) if policy.enabled else None
    decision, until = turns.decide(_turn(due_at, last), now)
    return BackupDue(policy, vm, place, due_at, last, decision, until, _away(vm, store, now))


def _due_at(
    policy: Policy, vm: VM, store: Store, known: PolicyFacts, now: datetime
) -> datetime | None:
    """The newest due time since all three are there. A VM without a copy in this store gets its
    first one at once and not at the next due time, and so does one with a disk that is new: until
    then it would be lost with its host."""
    there = [at for at in (policy.since, vm.first_seen_at, store.added_at) if at <= now]
    since = max(
        there, default=EPOCH
    )  # dates in the future are of a clock that was ahead: they bind not
    due_at = newest_due(calendar_of(policy), since, now)
    if (vm.uuid, store.pk) not in known.placing.newest:
        return since if due_at is None else due_at
    new = [at for at in known.new_disks.since(vm, store) if at <= now]
    at_once = [max(since, at) for at in new]
    return max([*at_once, *([due_at] if due_at else [])], default=None)


def _turn(due_at: datetime | None, last: PolicyRun | None) -> turns.Turn:
    if last is None or due_at is None or last.due_at < due_at:
        return turns.Turn(due_at)
    job = last.job
    return turns.Turn(due_at, last.tries, job.state if job else "", job.ended_at if job else None)


def _last_runs(now: datetime) -> dict[tuple[int, int, int], PolicyRun]:
    """The newest run of each (policy, VM, store). One due in the future was made while the clock
    was ahead: it stands for no due time that there was."""
    place = Window(
        RowNumber(),
        partition_by=[F("policy"), F("vm"), F("store")],
        order_by=F("due_at").desc(),
    )
    past = PolicyRun.objects.filter(due_at__lte=now)
    newest = past.annotate(place=place).filter(place=1).order_by().values("pk")
    runs = (
        PolicyRun.objects.filter(pk__in=newest)
        .select_related("job")
        .defer("job__parameters", "job__result", "job__state_data", "job__detail")
    )
    return {(run.policy_id, run.vm_id, run.store_id): run for run in runs}


def _away(vm: VM, store: Store, now: datetime) -> str:
    """Why the VM cannot be saved to this store just now; it is tried when that is over."""
    host = vm.host
    here = of_vm(
        presence(host.seen_at, host.failing_since, host.error, now),
        presence(host.libvirt_seen_at, host.libvirt_failing_since, host.libvirt_error, now),
    )
    if not here.is_up:
        return f"{host.name} does not answer: {here.reason}"
    if store.error:
        return f"The store {store.name} cannot be used: {store.error}"
    if store.host is not None and store.host_id != host.pk:
        there = store.host
        seen = presence(there.seen_at, there.failing_since, there.error, now)
        if not seen.is_up:
            return f"{there.name} with the store {store.name} does not answer: {seen.reason}"
    return ""

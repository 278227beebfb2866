"""What pruning would do with a VM's copies: a verdict with its reason for each of them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from django.utils import timezone

from backups.models import Generation, InstantRun, Policy, Store
from backups.rules.copies.retention import DROPPED, CopyFate, Keep, RetainedCopy, judge
from backups.rules.copies.trust import DISTRUSTED, displaces, doubt
from backups.rules.policies.policies import keeps
from backups.selectors.copies.holds import held, why
from backups.selectors.coverage.same_disk import of_this_disk
from backups.selectors.policies.policies import policy_of
from hosts.models import VM


@dataclass(frozen=True, slots=True)
class Fate:
    """One generation and what becomes of it."""

    generation: Generation
    verdict: CopyFate

    @property
    def dropped(self) -> bool:
        return self.verdict.fate == DROPPED


class FateJson(TypedDict):
    generation: str
    taken_at: str
    fate: str
    reason: str


class RetentionJson(TypedDict):
    """What a prune would do with a VM's generations in a store."""

    vm: str
    vm_uuid: str
    store: str
    policy: str | None
    generations: list[FateJson]


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """The copies of one VM in one store, newest first. `policy` is None where none takes it."""

    vm: VM
    store: Store
    policy: Policy | None
    fates: list[Fate]

    @property
    def drop(self) -> list[str]:
        """Keys of what would go, newest first."""
        return [each.generation.key for each in self.fates if each.dropped]

    @property
    def rule(self) -> str:
        """What the policy keeps, in words."""
        if self.policy is None:
            return "no policy takes it, so nothing is pruned"
        policy = self.policy
        numbers = keeps(
            policy.keep_last, policy.keep_daily, policy.keep_weekly, policy.keep_monthly
        )
        return f"the policy {policy.name} keeps {numbers}"

    def as_json(self) -> RetentionJson:
        return {
            "vm": self.vm.name,
            "vm_uuid": str(self.vm.uuid),
            "store": self.store.name,
            "policy": self.policy.name if self.policy else None,
            "generations": [
                {
                    "generation": each.generation.key,
                    "taken_at": each.generation.taken_at.isoformat(),
                    "fate": each.verdict.fate,
                    "reason": each.verdict.reason,
                }
                for each in self.fates
            ],
        }


def plans(vm: VM, store: Store | None = None) -> list[RetentionPlan]:
    """One for each store that holds something of the VM, or for that one store; six queries."""
    found = Generation.objects.filter(vm_uuid=vm.uuid).select_related("store__host")
    everywhere = list(found.defer("manifest").prefetch_related("disks"))
    by_store: dict[int, list[Generation]] = {}
    for each in everywhere:
        if store is None or each.store_id == store.pk:
            by_store.setdefault(each.store_id, []).append(each)
    policy, hold = policy_of(vm), held(vm)
    lasting = InstantRun.objects.filter(ended_at=None, generation__vm_uuid=vm.uuid)
    running = {run.generation.store_id: run for run in lasting.select_related("generation")}
    former = _former(vm, everywhere)  # what one store knows of a disk tells of it in all
    made = []
    for generations in by_store.values():
        frozen = why(hold) if hold else _running(running.get(generations[0].store_id))
        verdicts = judge([_copy(each, former) for each in generations], _keep(policy), frozen)
        of_key = {each.key: each for each in generations}
        fates = [Fate(of_key[verdict.key], verdict) for verdict in verdicts]
        made.append(RetentionPlan(vm, generations[0].store, policy, fates))
    return sorted(made, key=lambda plan: plan.store.name)


def plan(vm: VM, store: Store) -> RetentionPlan:
    """A dry run: nothing is changed."""
    return next(iter(plans(vm, store)), RetentionPlan(vm, store, policy_of(vm), []))


def fates_of(made: Iterable[RetentionPlan]) -> dict[str, CopyFate]:
    """Key → verdict, over several plans."""
    return {each.generation.key: each.verdict for one in made for each in one.fates}


def _running(run: InstantRun | None) -> str:
    """A VM that runs from one copy reads all that this one is built on."""
    if run is None:
        return ""
    return f"{run.vm_name} runs from {run.generation.key} until its blocks are local"


def _keep(policy: Policy | None) -> Keep | None:
    if policy is None:
        return None
    return Keep(
        last=policy.keep_last,
        daily=policy.keep_daily,
        weekly=policy.keep_weekly,
        monthly=policy.keep_monthly,
        zone=policy.timezone,
    )


def _copy(generation: Generation, former: Collection[int]) -> RetainedCopy:
    """A disk is good unless something is known to be wrong with it; of a damaged generation whose
    disks were not looked at, none is."""
    disks = list(generation.disks.all())
    bad = {disk.target for disk in disks if disk.bad or disk.unreadable}
    if generation.state == Generation.State.DAMAGED and not bad:
        bad = {disk.target for disk in disks}
    trust, now = generation.trust, timezone.now()
    if trust in DISTRUSTED:
        bad = {disk.target for disk in disks}  # nothing is merged into it, and nothing out of it
    return RetainedCopy(
        key=generation.key,
        taken_at=generation.taken_at,
        good=frozenset(_targets(generation)) - bad,
        bad=frozenset(bad),
        parents={disk.target: disk.parent for disk in disks if disk.parent},
        former={disk.target: disk.source for disk in disks if disk.pk in former},
        proven=generation.verified_at is not None,
        protected=generation.protected_because,
        gone=generation.state == Generation.State.MISSING,
        doubt=doubt(trust, generation.taken_at, now),
        displaces=displaces(trust, generation.taken_at, now),
    )


def _former(vm: VM, generations: Sequence[Generation]) -> set[int]:
    """Disks of copies that are of another disk than the VM had last under their target."""
    found: set[int] = set()
    for disk in vm.disks.all():
        held = [
            (generation, kept)
            for generation in generations
            for kept in generation.disks.all()
            if kept.target == disk.target
        ]
        own = {kept.pk for _, kept in of_this_disk(disk, held)}
        found |= {kept.pk for _, kept in held} - own
    return found


def _targets(generation: Generation) -> Sequence[str]:
    return [disk.target for disk in generation.disks.all()]

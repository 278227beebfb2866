"""What pruning would do with a VM's copies: a verdict with its reason for each of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backups.models import Generation, GenerationDisk, InstantRun, Policy, Store
from backups.rules.policies import keeps
from backups.rules.retention import DROPPED, Copy, Keep, Verdict, judge
from backups.selectors.holds import held, why
from backups.selectors.policies import policy_of
from hosts.models import VM, VirtualDisk


@dataclass(frozen=True, slots=True)
class Fate:
    """One generation and what becomes of it."""

    generation: Generation
    verdict: Verdict

    @property
    def dropped(self) -> bool:
        return self.verdict.fate == DROPPED


@dataclass(frozen=True, slots=True)
class Plan:
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

    def as_json(self) -> dict[str, Any]:
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


def plans(vm: VM, store: Store | None = None) -> list[Plan]:
    """One for each store that holds something of the VM, or for that one store; six queries."""
    found = Generation.objects.filter(vm_uuid=vm.uuid).select_related("store__host")
    if store is not None:
        found = found.filter(store=store)
    by_store: dict[int, list[Generation]] = {}
    for each in found.defer("manifest").prefetch_related("disks"):
        by_store.setdefault(each.store_id, []).append(each)
    policy, hold = policy_of(vm), held(vm)
    lasting = InstantRun.objects.filter(ended_at=None, generation__vm_uuid=vm.uuid)
    running = {run.generation.store_id: run for run in lasting.select_related("generation")}
    present = {disk.target: disk for disk in vm.disks.all()}
    made = []
    for generations in by_store.values():
        frozen = why(hold) if hold else _running(running.get(generations[0].store_id))
        verdicts = judge([_copy(each, present) for each in generations], _keep(policy), frozen)
        of_key = {each.key: each for each in generations}
        fates = [Fate(of_key[verdict.key], verdict) for verdict in verdicts]
        made.append(Plan(vm, generations[0].store, policy, fates))
    return sorted(made, key=lambda plan: plan.store.name)


def plan(vm: VM, store: Store) -> Plan:
    """A dry run: nothing is changed."""
    return next(iter(plans(vm, store)), Plan(vm, store, policy_of(vm), []))


def fates_of(made: Iterable[Plan]) -> dict[str, Verdict]:
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


def _copy(generation: Generation, present: Mapping[str, VirtualDisk]) -> Copy:
    """A disk is good unless something is known to be wrong with it; of a damaged generation whose
    disks nobody has looked at, none is."""
    disks = list(generation.disks.all())
    bad = {disk.target for disk in disks if disk.bad or disk.unreadable}
    if generation.state == Generation.State.DAMAGED and not bad:
        bad = {disk.target for disk in disks}
    return Copy(
        key=generation.key,
        taken_at=generation.taken_at,
        good=frozenset(_targets(generation)) - bad,
        bad=frozenset(bad),
        parents={disk.target: disk.parent for disk in disks if disk.parent},
        former={
            disk.target: disk.source
            for disk in disks
            if disk.target in present and _is_former(generation, disk, present[disk.target])
        },
        proven=generation.verified_at is not None,
        protected=generation.protected_because,
        gone=generation.state == Generation.State.MISSING,
    )


def _is_former(generation: Generation, kept: GenerationDisk, present: VirtualDisk) -> bool:
    """Whether what was kept is another disk than the one that the VM had last under this target."""
    same = kept.source in {present.source, *present.backing_chain}
    return not same and generation.taken_at < present.first_seen_at


def _targets(generation: Generation) -> Sequence[str]:
    return [disk.target for disk in generation.disks.all()]

"""What a move would do, and everything that speaks against it, before anything is touched.

The page, `move VM --plan`, the API and the job itself use the same plan from fresh facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hosts.models import VM, Host
from hosts.rules import fit
from hosts.rules.placement import Candidate, rank
from labpanel.adapters.errors import AdapterError
from labpanel.jobs.models import Job
from labpanel.lib.moving import MovingDisk, Needs, Obstacle
from labpanel.moves.selectors.unsettled import unsettled
from labpanel.moves.services import facts
from labpanel.moves.services.facts import SourceFacts


@dataclass(frozen=True, slots=True)
class Plan:
    """`way` is live or cold, empty when the source cannot be asked. `target` is the best host, or
    the one that was asked for, and None if there is no other. `source` is None with an obstacle
    that says why."""

    vm: str
    vm_uuid: str
    host: str
    way: str
    target: str | None
    own: tuple[Obstacle, ...]
    candidates: tuple[Candidate, ...]
    source: SourceFacts | None = None

    @property
    def chosen(self) -> Candidate | None:
        return next((one for one in self.candidates if one.target.name == self.target), None)

    @property
    def obstacles(self) -> list[str]:
        """Everything that forbids it, in words; none is a yes."""
        return [one.sentence for one in self._all() if one.blocking]

    @property
    def warnings(self) -> list[str]:
        return [one.sentence for one in self._all() if not one.blocking]

    @property
    def possible(self) -> bool:
        return self.target is not None and not self.obstacles

    @property
    def disks(self) -> tuple[MovingDisk, ...]:
        return self.source.needs.copied if self.source else ()

    @property
    def copied_bytes(self) -> int:
        """What travels: the images' own blocks, and a running VM's memory."""
        if self.source is None:
            return 0
        memory = self.source.needs.memory_bytes if self.way == "live" else 0
        return sum(disk.allocated for disk in self.disks) + memory

    @property
    def needs(self) -> Needs:
        assert self.source is not None, "a plan that is possible knows its source"
        return self.source.needs

    def _all(self) -> list[Obstacle]:
        return [*self.own, *(self.chosen.obstacles if self.chosen else ())]


def plan(vm: VM, to: Host | None = None) -> Plan:
    """Ask the VM's host and every other one (or only `to`). Never raises for a host that does not
    answer: that is an obstacle in the plan."""
    others = [to] if to else list(Host.objects.exclude(pk=vm.host_id))
    if to is not None and to.pk == vm.host_id:
        return _refused(vm, to.name, f"{vm.name} is on {to.name} already.")
    if vm.missing_since is not None:
        return _refused(vm, None, f"{vm.name} is not on {vm.host.name} any more.")
    for job in unsettled(str(vm.uuid)):
        return _refused(vm, to.name if to else None, _open(vm, job))
    try:
        source = facts.of_source(vm)
    except AdapterError as error:
        return _refused(vm, to.name if to else None, _cannot_ask(vm, error))
    own = fit.of_vm(source.needs, source.now, vm.host.name, facts.troubles_of(vm.host, vm))
    targets = facts.of_targets(vm, source, others)
    found = [(target, fit.of_target(source.needs, source.now, target)) for target in targets]
    candidates = rank(found)
    if not candidates:
        own.append(Obstacle("There is no other host; add one with `./panel host add`."))
    return Plan(
        vm=vm.name,
        vm_uuid=str(vm.uuid),
        host=vm.host.name,
        way="live" if source.now.active else "cold",
        target=candidates[0].target.name if candidates else None,
        own=tuple(own),
        candidates=tuple(candidates),
        source=source,
    )


def _refused(vm: VM, target: str | None, *sentences: str) -> Plan:
    own = tuple(Obstacle(sentence) for sentence in sentences)
    return Plan(vm.name, str(vm.uuid), vm.host.name, "", target, own, ())


def _open(vm: VM, job: Job) -> str:
    return f"An earlier move of {vm.name} (job {job.pk}) is not settled yet: {job.sentence}"


def _cannot_ask(vm: VM, error: AdapterError) -> str:
    return (
        f"{error.sentence} While its host does not answer, {vm.name} cannot be moved safely; "
        f"restore its newest generation on another host under a new name."
    )


def in_words(sentences: Sequence[str]) -> str:
    return " ".join(sentences)

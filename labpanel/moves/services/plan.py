"""What a move would do, and everything that speaks against it, before anything is touched.

The page, `move VM --plan`, the API and the job itself use the same plan from fresh facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from backups.rules.restore.naming import wrong_name
from hosts.models import VM, Host
from hosts.rules.placement import fit, lacks
from hosts.rules.placement.placement import HostCandidate, rank
from hosts.selectors.machines import same_machine
from labpanel.adapters.errors import AdapterError
from labpanel.jobs.models import Job
from labpanel.lib.definition import SILENCE, Word
from labpanel.lib.moving import DomainNeeds, Draft, MovingDisk, Obstacle
from labpanel.moves.rules.lasting import Lasting, lasting
from labpanel.moves.selectors.speeds import measured_between
from labpanel.moves.selectors.unsettled import unsettled
from labpanel.moves.services import facts
from labpanel.moves.services.facts import SourceFacts


@dataclass(frozen=True, slots=True)
class MovePlan:
    """`way` is live or cold, empty when the source cannot be asked. `target` is the best host, or
    the one that was asked for, and None if there is no other. `source` is None with an obstacle
    that says why. `lasts` is how long the move takes as far as is known, None without a target."""

    vm: str
    vm_uuid: str
    host: str
    way: str
    target: str | None
    own: tuple[Obstacle, ...]
    candidates: tuple[HostCandidate, ...]
    source: SourceFacts | None = None
    lasts: Lasting | None = None

    @property
    def chosen(self) -> HostCandidate | None:
        return next((one for one in self.candidates if one.target.name == self.target), None)

    @property
    def obstacles(self) -> list[str]:
        """Everything that forbids it, in words; none is a yes."""
        return [one.sentence for one in self._all() if one.blocking]

    @property
    def page_obstacles(self) -> list[str]:
        """The same where buttons say what can be done, not words to type."""
        return [one.sentence for one in self._all() if one.blocking and not one.typed]

    @property
    def warnings(self) -> list[str]:
        return [one.sentence for one in self._all() if not one.blocking]

    @property
    def barred(self) -> bool:
        """Whether the VM itself may not go now, wherever to: no host is to be called fit."""
        return any(one.blocking for one in self.own)

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
    def draft(self) -> Draft:
        """The description for the chosen host, which a plan that is possible has."""
        assert self.chosen is not None and self.chosen.target.draft is not None
        return self.chosen.target.draft

    @property
    def reaching(self) -> Draft | None:
        """The draft that does not go without the owner's word, whatever else forbids the move."""
        draft = self.chosen.target.draft if self.chosen else None
        return draft if draft is not None and draft.open else None

    @property
    def asking(self) -> Draft | None:
        """The draft that only the owner's word keeps from going: on what reaches into the host, or
        on what the host lacks and the VM can be had without."""
        found = self._all()
        others = any(one.blocking and not one.asks for one in found)
        asks = any(one.asks for one in found)
        return None if others or not asks or self.chosen is None else self.chosen.target.draft

    @property
    def accepting(self) -> str:
        """The code that takes the VM as it is, where the host has all for it; else empty."""
        if self.asking is None or self.chosen is None:
            return ""
        lacking = lacks.lacking(self.asking.needs or self.needs, self.chosen.target)
        return "" if lacking else self.asking.code

    @property
    def needs(self) -> DomainNeeds:
        assert self.source is not None, "a plan that is possible knows its source"
        return self.source.needs

    def _all(self) -> list[Obstacle]:
        return [*self.own, *(self.chosen.obstacles if self.chosen else ())]


def plan(vm: VM, to: Host | None = None, word: Word = SILENCE) -> MovePlan:
    """Ask the VM's host and every other one (or only `to`). Never raises for a host that does not
    answer: that is an obstacle in the plan. `word` is the owner's, on what reaches into a host."""
    others = [to] if to else [one for one in Host.objects.all() if not same_machine(one, vm.host)]
    if to is not None and to.pk == vm.host_id:
        return _refused(vm, to.name, f"{vm.name} is on {to.name} already.")
    if to is not None and same_machine(to, vm.host):
        why = f"{to.name} is the same machine as {vm.host.name}, where {vm.name} is already."
        return _refused(vm, to.name, why)
    if vm.missing_since is not None:
        return _refused(vm, None, f"{vm.name} is not on {vm.host.name} any more.")
    for job in unsettled(str(vm.uuid)):
        return _refused(vm, to.name if to else None, _open(vm, job))
    try:
        source = facts.of_source(vm)
    except AdapterError as error:
        return _refused(vm, to.name if to else None, _cannot_ask(vm, error))
    problem = wrong_name(vm.name) or wrong_name(source.needs.name)
    if problem:
        return _refused(vm, to.name if to else None, problem)
    own = fit.of_vm(source.needs, source.now, vm.host.name, facts.troubles_of(vm.host, vm))
    targets = facts.of_targets(vm, source, others, word)
    found = [(target, fit.of_target(source.needs, source.now, target)) for target in targets]
    candidates = rank(found)
    if not candidates:
        own.append(Obstacle("There is no other host; add one with `./panel host add`."))
    found_plan = MovePlan(
        vm=vm.name,
        vm_uuid=str(vm.uuid),
        host=vm.host.name,
        way="live" if source.now.active else "cold",
        target=candidates[0].target.name if candidates else None,
        own=tuple(own),
        candidates=tuple(candidates),
        source=source,
    )
    return replace(found_plan, lasts=_lasts(found_plan, vm, others))


def _lasts(found: MovePlan, vm: VM, others: Sequence[Host]) -> Lasting | None:
    target = next((host for host in others if host.name == found.target), None)
    if target is None:
        return None
    between = measured_between(vm.host, target, found.way)
    return lasting(found.copied_bytes, vm.host.name, target.name, between)


def _refused(vm: VM, target: str | None, *sentences: str) -> MovePlan:
    own = tuple(Obstacle(sentence) for sentence in sentences)
    return MovePlan(vm.name, str(vm.uuid), vm.host.name, "", target, own, ())


def _open(vm: VM, job: Job) -> str:
    return f"An earlier move of {vm.name} (job {job.pk}) is not settled yet: {job.sentence}"


def _cannot_ask(vm: VM, error: AdapterError) -> str:
    return (
        f"{error.sentence} While its host does not answer, {vm.name} cannot be moved safely; "
        f"restore its newest generation on another host under a new name."
    )


def in_words(sentences: Sequence[str]) -> str:
    return " ".join(sentences)

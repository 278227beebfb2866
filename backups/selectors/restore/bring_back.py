"""Which VMs have to be brought back elsewhere, from which copy, where, and how long that takes.

From what is stored alone: a page never waits for a host. The button that is drawn from this leads
to nothing that would be refused for what the panel knows already.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backups.models import Generation, Store
from backups.rules.coverage.exposure import Loss
from backups.rules.restore.bring_back import CopyCandidate, is_tight, pick, place_for, why_nowhere
from backups.rules.restore.bring_back_words import BringBackChoice, choices
from backups.rules.restore.naming import free_name
from backups.selectors.coverage.coverage import coverage
from backups.selectors.coverage.exposure import Death, deaths
from backups.selectors.restore.bring_back_facts import (
    GONE,
    SILENT,
    SUSPECT,
    BringBackFacts,
    VMTrouble,
    known_of,
    trouble_of,
)
from backups.selectors.stores.drives import keys_below
from backups.selectors.stores.speeds import speeds
from hosts.models import VM, Finding, Host, VirtualDisk
from hosts.selectors.findings import open_findings
from labpanel.jobs.models import Job
from labpanel.lib.units import listed


@dataclass(frozen=True, slots=True)
class BringBack:
    """One VM. Without `copy` and `to` it cannot be done, and `why_not` says why. `job` works
    on it, `came` is what came of an earlier one; `lacking` are disks that the copy does not hold;
    `seconds` is None where no speed was measured."""

    vm: VM
    trouble: VMTrouble
    copy: Generation | None = None
    to: Host | None = None
    name: str = ""
    lacking: tuple[str, ...] = ()
    seconds: float | None = None
    tight: bool = False
    why_not: str = ""
    job: Job | None = None
    came: VM | None = None

    @property
    def possible(self) -> bool:
        return self.copy is not None and self.to is not None and not (self.job or self.came)

    @property
    def words(self) -> str:
        return f"Bring {self.vm.name} back on {self.to.name}" if self.to else ""

    @property
    def choices(self) -> list[BringBackChoice]:
        running = [self.vm.name] if self.runs_there else []
        return choices(
            [self.vm.name],
            self.vm.host.name,
            self.to.name if self.to else "",
            running=running,
            silent=self.trouble.kind == SILENT,
            seconds=self.seconds,
        )

    @property
    def runs_there(self) -> bool:
        """Whether it still runs where it is, so that it would run twice."""
        return self.trouble.kind == SUSPECT and self.vm.is_on

    @property
    def stays_off(self) -> bool:
        """Whether it was off when last seen: brought back with others, it is not started."""
        return not self.vm.is_on


@dataclass(frozen=True, slots=True)
class BringAll:
    """All VMs of a host that have to be brought back."""

    host: Host
    each: tuple[BringBack, ...]

    @property
    def ready(self) -> list[BringBack]:
        return [one for one in self.each if one.possible]

    @property
    def silent(self) -> bool:
        return any(one.trouble.kind == SILENT for one in self.each)

    @property
    def to(self) -> str:
        return listed(list(dict.fromkeys(one.to.name for one in self.ready if one.to)))

    @property
    def words(self) -> str:
        if len(self.ready) == 1:
            return self.ready[0].words
        return f"Bring all {len(self.ready)} back on {self.to}"

    @property
    def choices(self) -> list[BringBackChoice]:
        names = [one.vm.name for one in self.ready]
        running = [one.vm.name for one in self.ready if one.runs_there]
        return choices(
            names,
            self.host.name,
            self.to,
            running=running,
            silent=self.silent,
            seconds=self.seconds,
        )

    @property
    def moments(self) -> list[datetime]:
        """To which moments they go back, newest first; those of one minute are one."""
        found = {
            one.copy.taken_at.replace(second=0, microsecond=0) for one in self.ready if one.copy
        }
        return sorted(found, reverse=True)

    @property
    def seconds(self) -> float | None:
        each = [one.seconds for one in self.ready]
        return None if None in each else sum(one for one in each if one is not None)


def bring_back_of(vm: VM, now: datetime) -> BringBack | None:
    """Of one VM; None where nothing forces it."""
    rows = coverage(now, vm)
    losses = losses_of(deaths([vm.host], rows, speeds(), now))
    return bring_backs([vm], open_findings(vm.host), losses, now).get(vm.uuid)


def bring_all_of(host: Host, now: datetime) -> BringAll:
    vms = list(host.vms.filter(missing_since=None).select_related("host"))
    losses = losses_of(deaths([host], coverage(now, host=host), speeds(), now))
    found = bring_backs(vms, open_findings(host), losses, now)
    return BringAll(host, tuple(found.values()))


def losses_of(found: Iterable[Death]) -> dict[UUID, Loss]:
    return {death.uuids[loss.vm]: loss for death in found for loss in death.losses}


def bring_backs(
    vms: Sequence[VM], findings: Sequence[Finding], losses: Mapping[UUID, Loss], now: datetime
) -> dict[UUID, BringBack]:
    """Of those whose host or disks cannot be relied on; `vms` with their hosts. A constant number
    of queries, none where all is well."""
    troubles = {
        vm.uuid: trouble for vm in vms if (trouble := trouble_of(vm, findings, now)) is not None
    }
    if not troubles:
        return {}
    known = known_of([vm for vm in vms if vm.uuid in troubles], troubles, now)
    found = {}
    for vm in vms:
        if vm.uuid in troubles:
            loss = losses.get(vm.uuid)
            found[vm.uuid] = _one(vm, troubles[vm.uuid], known, loss)
    return found


def _one(vm: VM, trouble: VMTrouble, known: BringBackFacts, loss: Loss | None) -> BringBack:
    job = known.jobs.get(str(vm.uuid))
    if job is not None and job.is_active:
        return BringBack(vm, trouble, job=job)
    came = known.living.get(str((job.result or {}).get("uuid"))) if job is not None else None
    if came is not None:
        return BringBack(vm, trouble, came=came)
    disks = known.disks.get(vm.uuid, [])
    wanted = frozenset(disk.target for disk in disks)
    copy = _copy(vm, disks, wanted, known)
    if copy is None:
        return BringBack(vm, trouble, why_not=_no_copy(vm, trouble))
    held = _held(copy)
    room = sum(
        (disk.allocation_bytes or disk.capacity_bytes or 0) for disk in disks if disk.target in held
    )
    places = [one for one in known.places if trouble.kind == GONE or one.host != vm.host.name]
    place = place_for(places, vm.memory_bytes, room)
    if place is None:
        return BringBack(vm, trouble, copy=copy, why_not=why_nowhere(places, vm.name, room))
    tight = is_tight(place, vm.memory_bytes)
    place.take(vm.memory_bytes, room)
    return BringBack(
        vm,
        trouble,
        copy=copy,
        to=known.hosts[place.host],
        name=_name(vm, trouble, known.names.get(place.host, set())),
        lacking=tuple(sorted(wanted - held)),
        seconds=loss.back.seconds if loss is not None and loss.back is not None else None,
        tight=tight,
    )


def _name(vm: VM, trouble: VMTrouble, taken: set[str]) -> str:
    """As ask_restore names it: one that is still somewhere keeps its name there."""
    return vm.name if trouble.kind == GONE else free_name(vm.name, taken)


def _copy(
    vm: VM, disks: Sequence[VirtualDisk], wanted: frozenset[str], known: BringBackFacts
) -> Generation | None:
    """Copies on another machine first; one on the VM's own only from a drive of its own."""
    own = [one for one in known.copies.get(vm.uuid, ()) if not _lies_below(one.store, disks)]
    away = [one for one in own if one.store.endpoint().target != vm.host.target]
    for group in (away, own):
        by_key = {one.key: one for one in group}
        picked = pick((_candidate(one) for one in group), wanted)
        if picked is not None and picked.disks:
            return by_key[picked.key]
    return None


def _candidate(one: Generation) -> CopyCandidate:
    return CopyCandidate(one.key, one.taken_at, one.verified_at is not None, _held(one))


def _held(copy: Generation) -> frozenset[str]:
    """Targets of the disks that it holds whole."""
    disks = copy.disks.all()
    return frozenset(disk.target for disk in disks if not disk.bad and not disk.unreadable)


def _lies_below(store: Store, disks: Sequence[VirtualDisk]) -> bool:
    drives = set(store.drives)
    return any(disk.file_system and keys_below(disk.file_system) & drives for disk in disks)


def _no_copy(vm: VM, trouble: VMTrouble) -> str:
    if trouble.kind == SUSPECT:
        return (
            f"There is no good copy of {vm.name} from before this began that can be read now, "
            "so it cannot be brought back."
        )
    return f"There is no good copy of {vm.name} that can be read now."

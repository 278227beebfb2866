"""Ask for a restore: everything that can be refused at once is, before anything was changed."""

import secrets
import uuid as uuids
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from backups.models import Generation, InstantRun, Store
from backups.rules.copies.trust import refused
from backups.rules.policies.policies import MOST_BYTES_PER_SECOND
from backups.rules.restore.mixing import Mix, MixableGeneration, changed_targets, mixed
from backups.rules.restore.naming import free_name, plain_path, wrong_name, wrong_path
from backups.selectors.copies.naming import called
from hosts.models import VM, Host
from hosts.selectors.two_hosts import held_back
from hosts.services.vms.agreement import kept
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.definition import SILENCE, Word
from labpanel.lib.refusal import Refusal
from labpanel.lib.units import count


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """How something is to come back. `disks` are other generations for single disks, `only` leaves
    out all other disks, `definition` is the generation whose definition counts (by default the
    newest one), `path` a folder for the images, `bytes_per_second` a cap on pulling blocks in,
    `word` what the owner says of a definition that reaches into the host, `stop` has the VM that
    the generation is of switched off where it runs, right before the new one starts. `successor`:
    it is to go on in the place of that VM, whose host cannot be relied on."""

    name: str = ""
    path: str = ""
    start: bool = False
    in_place: bool = False
    shut_down: bool = False
    instant: bool = False
    disks: Mapping[str, Generation] = field(default_factory=dict)
    only: bool = False
    definition: Generation | None = None
    bytes_per_second: int = 0
    word: Word = SILENCE
    stop: bool = False
    successor: bool = False


def ask_for_restore(
    generation: Generation, host: Host | None, wish: RestoreRequest, *, asked_by: Actor = PANEL
) -> Job:
    """Open the job. `host` may be left out in place. Raises Refusal or Busy."""
    mix = _mix(generation, wish)
    if mix.problem:
        raise Refusal(mix.problem, 409)
    if wish.in_place:
        return _ask_in_place(generation, host, wish, mix, asked_by)
    if host is None:
        raise Refusal("Say on which host.")
    if not 0 <= wish.bytes_per_second <= MOST_BYTES_PER_SECOND:
        raise Refusal("The cap is a number of bytes per second up to 1 TiB/s; 0 means none.")
    if wish.instant and {*mix.pieces.values(), mix.definition} != {generation.key}:
        raise Refusal(
            "At once, all disks and the definition come from one generation; leave out what is "
            "of another, or let the disks be copied first."
        )
    return _ask_copy(generation, host, wish, mix, asked_by)


def _mix(generation: Generation, wish: RestoreRequest) -> Mix:
    return mixed(
        held(generation),
        {target: held(other) for target, other in wish.disks.items()},
        only=wish.only,
        definition=held(wish.definition) if wish.definition else None,
    )


def held(generation: Generation) -> MixableGeneration:
    disks = list(generation.disks.all())
    named = {disk.target for disk in generation.manifest.disks}
    return MixableGeneration(
        key=generation.key,
        vm_uuid=str(generation.vm_uuid),
        vm_name=generation.vm_name,
        taken_at=generation.taken_at,
        targets=frozenset(named),
        bad=frozenset(disk.target for disk in disks if disk.bad),
        damaged=generation.state == Generation.State.DAMAGED,
        missing=generation.state == Generation.State.MISSING,
        refused=refused(generation.trust, generation.key),
    )


def _ask_copy(
    generation: Generation, host: Host, wish: RestoreRequest, mix: Mix, asked_by: Actor
) -> Job:
    living = VM.objects.filter(missing_since=None)
    same = living.filter(uuid=generation.vm_uuid).exists()
    is_copy = same or wish.name not in {"", generation.vm_name}
    name = _name(generation, host, wish, is_copy=is_copy)
    path = _for_images(wish.path, host)
    vm_uuid = str(uuids.uuid4()) if is_copy else str(generation.vm_uuid)
    if wish.instant:
        _must_be_cleaned_up(vm_uuid)
    how = " at once" if wish.instant else ""
    stop = living.filter(uuid=generation.vm_uuid).first() if wish.stop else None
    lock = f"name:{host.pk}:{secrets.token_hex(4)}" if is_copy else f"vm:{vm_uuid}"
    if is_copy and wish.successor:
        lock = f"back:{generation.vm_uuid}"  # one goes on in its place, not two
    return ledger.open_job(
        "instant" if wish.instant else "restore",
        f"Restore of {_of(generation, mix)} to {host.name} as {name}{how}",
        subject=f"vm:{vm_uuid}",
        lock_key=lock,
        asked_by=asked_by,
        parameters={
            **_common(generation, host, wish, mix),
            "name": name,
            "uuid": vm_uuid,
            "is_copy": is_copy,
            "successor": wish.successor,
            "path": path,
            "bytes_per_second": wish.bytes_per_second,
            "of": str(generation.vm_uuid),
            "stop": stop.pk if stop else None,
            **kept(wish.word),
        },
    )


def _must_be_cleaned_up(vm_uuid: str) -> None:
    """A VM runs from a copy once at a time. Raises Refusal."""
    left = InstantRun.objects.select_related("host").filter(vm_uuid=vm_uuid).first()
    if left is not None:
        where = left.host.name
        raise Refusal(
            f"What {left.vm_name} has left on {where}, where it was to run from a copy, is not "
            f"cleaned up yet: wait until {where} answers, or restore it without running it at "
            f"once.",
            409,
        )


def _for_images(folder: str, host: Host) -> str:
    """An asked-for folder in its plain form; empty is the panel's choice. Raises Refusal."""
    if not folder:
        return ""
    problem = wrong_path(folder)
    if problem:
        raise Refusal(problem)
    asked = plain_path(folder)
    for store in Store.objects.filter(host=host):
        if PurePosixPath(asked).is_relative_to(plain_path(store.path)):
            raise Refusal(
                f"{folder} lies in the store {store.name}, which holds copies only; choose "
                "another folder."
            )
    return asked


def _name(generation: Generation, host: Host, wish: RestoreRequest, *, is_copy: bool) -> str:
    taken = set(VM.objects.filter(missing_since=None, host=host).values_list("name", flat=True))
    name = wish.name
    if not name:
        name = free_name(generation.vm_name, taken) if is_copy else generation.vm_name
    problem = wrong_name(name)
    if problem:
        raise Refusal(problem)
    must_be_free(name, host)
    return name


def must_be_free(name: str, host: Host) -> None:
    """Raises Refusal if a VM of that name is there."""
    if VM.objects.filter(missing_since=None, host=host, name=name).exists():
        raise Refusal(f"There already is a VM {name} on {host.name}; choose another name.", 409)


def _ask_in_place(
    generation: Generation, host: Host | None, wish: RestoreRequest, mix: Mix, asked_by: Actor
) -> Job:
    vm = VM.objects.select_related("host").filter(uuid=generation.vm_uuid).first()
    if vm is None or vm.missing_since is not None:
        raise Refusal(
            f"{generation.vm_name} is on no host now, so nothing can go back in its place; "
            f"restore it to a host.",
            409,
        )
    contradiction = _contradiction(vm, host, wish)
    if contradiction:
        raise Refusal(contradiction)
    disks = vm.disks.filter(missing_since=None)
    problem = changed_targets(mix.pieces, [disk.target for disk in disks])
    if not problem and (why := held_back(vm)):
        problem = f"{vm.name} is not restored in place now. {why}"
    if not problem and InstantRun.objects.filter(vm_uuid=vm.uuid).exists():
        problem = f"{vm.name} still runs on blocks of a generation; wait until they are its own."
    if not problem and vm.is_on and not wish.shut_down:
        problem = f"{vm.name} is {vm.state}; shut it down first, or have it shut down."
    if problem:
        raise Refusal(problem, 409)
    return ledger.open_job(
        "restore",
        f"Restore of {_of(generation, mix)} in place on {vm.host.name}",
        subject=f"vm:{vm.uuid}",
        lock_key=f"vm:{vm.uuid}",
        asked_by=asked_by,
        parameters={
            **_common(generation, vm.host, wish, mix),
            "name": vm.name,
            "uuid": str(vm.uuid),
            "is_copy": False,
            "shut_down": wish.shut_down,
        },
    )


def _contradiction(vm: VM, host: Host | None, wish: RestoreRequest) -> str:
    if host is not None and host.pk != vm.host_id:
        return f"{vm.name} is on {vm.host.name}; in place means there, not on {host.name}."
    if wish.instant:
        return "In place and at once do not go together; choose one."
    if wish.name not in {"", vm.name} or wish.path or wish.definition:
        return "In place the VM keeps its name, its definition and the paths of its images."
    return ""


def _common(
    generation: Generation, host: Host, wish: RestoreRequest, mix: Mix
) -> dict[str, object]:
    return {
        "generation": generation.key,
        "host": host.pk,
        "disks": mix.pieces,
        "definition": mix.definition,
        "in_place": wish.in_place,
        "start": wish.start,
    }


def _of(generation: Generation, mix: Mix) -> str:
    keys = set(mix.pieces.values())
    if keys == {generation.key}:
        return called(generation)
    return f"{generation.vm_name} from {count(len(keys), 'copy', 'copies')}"

"""Ask for a restore: everything that can be refused at once is, before anything was changed."""

import secrets
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from backups.models import Generation, InstantRun, Store
from backups.rules.mixing import Held, Mix, changed_targets, mixed
from backups.rules.naming import free_name, wrong_name
from hosts.models import VM, Host
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Wish:
    """How something is to come back. `disks` are other generations for single disks, `only` leaves
    out all other disks, `definition` is the generation whose definition counts (by itself the
    newest one), `path` a folder for the images, `bytes_per_second` a cap on pulling blocks in."""

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


def ask_for_restore(
    generation: Generation, host: Host | None, wish: Wish, *, asked_by: str = ""
) -> Job:
    """Open the job. `host` may be left out in place. Raises Refusal or Busy."""
    mix = _mix(generation, wish)
    if mix.problem:
        raise Refusal(mix.problem, 409)
    if wish.in_place:
        return _ask_in_place(generation, host, wish, mix, asked_by)
    if host is None:
        raise Refusal("Say on which host.")
    if wish.instant and {*mix.pieces.values(), mix.definition} != {generation.key}:
        raise Refusal(
            "At once, all disks and the definition come from one generation; leave out what is "
            "of another, or let the disks be copied first."
        )
    return _ask_copy(generation, host, wish, mix, asked_by)


def _mix(generation: Generation, wish: Wish) -> Mix:
    return mixed(
        held(generation),
        {target: held(other) for target, other in wish.disks.items()},
        only=wish.only,
        definition=held(wish.definition) if wish.definition else None,
    )


def held(generation: Generation) -> Held:
    disks = list(generation.disks.all())
    named = {disk["target"] for disk in generation.manifest["disks"]}
    return Held(
        key=generation.key,
        vm_uuid=str(generation.vm_uuid),
        vm_name=generation.vm_name,
        taken_at=generation.taken_at,
        targets=frozenset(named),
        bad=frozenset(disk.target for disk in disks if disk.bad),
        damaged=generation.state == Generation.State.DAMAGED,
        missing=generation.state == Generation.State.MISSING,
    )


def _ask_copy(generation: Generation, host: Host, wish: Wish, mix: Mix, asked_by: str) -> Job:
    living = VM.objects.filter(missing_since=None)
    same = living.filter(uuid=generation.vm_uuid).exists()
    is_copy = same or wish.name not in {"", generation.vm_name}
    name = _name(generation, host, wish, is_copy=is_copy)
    _must_be_for_images(wish.path, host)
    vm_uuid = str(uuids.uuid4()) if is_copy else str(generation.vm_uuid)
    how = " at once" if wish.instant else ""
    return ledger.open_job(
        "instant" if wish.instant else "restore",
        f"Restore {generation.vm_name} of {_of(mix)} to {host.name} as {name}{how}",
        subject=f"vm:{vm_uuid}",
        lock_key=f"vm:{vm_uuid}" if not is_copy else f"name:{host.pk}:{secrets.token_hex(4)}",
        asked_by=asked_by,
        parameters={
            **_common(generation, host, wish, mix),
            "name": name,
            "uuid": vm_uuid,
            "is_copy": is_copy,
            "path": wish.path,
            "bytes_per_second": wish.bytes_per_second,
        },
    )


def _must_be_for_images(folder: str, host: Host) -> None:
    """An asked-for folder; empty is the panel's choice."""
    asked = PurePosixPath(folder)
    if folder and not asked.is_absolute():
        raise Refusal(f"{folder} is not an absolute path.")
    if ".." in asked.parts:
        raise Refusal(f"{folder} goes up with “..”; name the folder itself.")
    for store in Store.objects.filter(host=host):
        if asked.is_relative_to(store.path):
            raise Refusal(
                f"{folder} lies in the store {store.name}, which holds copies only; choose "
                "another folder."
            )


def _name(generation: Generation, host: Host, wish: Wish, *, is_copy: bool) -> str:
    taken = set(VM.objects.filter(missing_since=None, host=host).values_list("name", flat=True))
    name = wish.name
    if not name:
        name = free_name(generation.vm_name, taken) if is_copy else generation.vm_name
    problem = wrong_name(name)
    if problem:
        raise Refusal(problem)
    if name in taken:
        raise Refusal(f"There already is a VM {name} on {host.name}; choose another name.", 409)
    return name


def _ask_in_place(
    generation: Generation, host: Host | None, wish: Wish, mix: Mix, asked_by: str
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
    if not problem and InstantRun.objects.filter(vm_uuid=vm.uuid).exists():
        problem = f"{vm.name} still runs on blocks of a generation; wait until they are its own."
    if not problem and vm.is_on and not wish.shut_down:
        problem = f"{vm.name} is {vm.state}; shut it down first, or have it shut down."
    if problem:
        raise Refusal(problem, 409)
    return ledger.open_job(
        "restore",
        f"Put {vm.name} on {vm.host.name} back to {_of(mix)}",
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


def _contradiction(vm: VM, host: Host | None, wish: Wish) -> str:
    if host is not None and host.pk != vm.host_id:
        return f"{vm.name} is on {vm.host.name}; in place means there, not on {host.name}."
    if wish.instant:
        return "In place and at once do not go together; choose one."
    if wish.name not in {"", vm.name} or wish.path or wish.definition:
        return "In place the VM keeps its name, its definition and the paths of its images."
    return ""


def _common(generation: Generation, host: Host, wish: Wish, mix: Mix) -> dict[str, object]:
    return {
        "generation": generation.key,
        "host": host.pk,
        "disks": mix.pieces,
        "definition": mix.definition,
        "in_place": wish.in_place,
        "start": wish.start,
    }


def _of(mix: Mix) -> str:
    keys: Sequence[str] = sorted(set(mix.pieces.values()))
    return keys[0] if len(keys) == 1 else f"{len(keys)} generations"

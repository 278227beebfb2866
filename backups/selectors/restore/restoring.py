"""What the form of a restore offers, and what it must say before the click."""

from dataclasses import dataclass

from backups.models import Generation
from hosts.models import VM, Host

SHOWN = 30  # generations to choose from for each disk


@dataclass(frozen=True, slots=True)
class GenerationChoice:
    """One generation for one disk."""

    key: str
    generation: Generation
    here: bool


@dataclass(frozen=True, slots=True)
class DiskChoices:
    target: str
    choices: tuple[GenerationChoice, ...]


@dataclass(frozen=True, slots=True)
class RestoreForm:
    """`vm` is the VM that stands where this one came from, if it is still there; `images` are the
    paths that would be kept aside."""

    generation: Generation
    hosts: tuple[Host, ...]
    disks: tuple[DiskChoices, ...]
    vm: VM | None
    images: tuple[str, ...]
    restorable: bool

    @property
    def mixes(self) -> bool:
        return any(len(disk.choices) > 1 for disk in self.disks)


def restore_form(generation: Generation) -> RestoreForm:
    """Five queries, however many generations there are."""
    others = Generation.objects.filter(vm_uuid=generation.vm_uuid).exclude(
        state=Generation.State.MISSING
    )
    known = list(others.select_related("store").prefetch_related("disks")[:SHOWN])
    if generation.pk not in {one.pk for one in known}:
        known.append(generation)
    targets = sorted(disk.target for disk in generation.disks.all())
    vm = VM.objects.select_related("host").filter(uuid=generation.vm_uuid).first()
    if vm is not None and vm.missing_since is not None:
        vm = None
    now = {} if vm is None else {disk.target: disk.source for disk in vm.disks.all()}
    return RestoreForm(
        generation,
        tuple(Host.objects.all()),
        tuple(DiskChoices(target, _choices(target, known, generation)) for target in targets),
        vm,
        tuple(now[target] for target in targets if target in now),
        generation.state != Generation.State.MISSING,
    )


def _choices(
    target: str, known: list[Generation], here: Generation
) -> tuple[GenerationChoice, ...]:
    return tuple(
        GenerationChoice(one.key, one, one.pk == here.pk)
        for one in known
        if one.pk == here.pk or _holds(one, target)
    )


def _holds(generation: Generation, target: str) -> bool:
    return any(disk.target == target and not disk.bad for disk in generation.disks.all())

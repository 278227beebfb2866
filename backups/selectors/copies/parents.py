"""What the next generation of a VM in a store can build on, disk by disk."""

from dataclasses import dataclass, field

from django.utils import timezone

from backups.models import Generation, GenerationDisk, Store
from backups.rules.backup.chains import ChainLink, chain_of, choose_parent
from backups.rules.copies.trust import AHEAD, DISTRUSTED

Spans = list[list[int]]


@dataclass(frozen=True, slots=True)
class Parent:
    """For one disk: the generation (None: the run must be a full one, and `why`), the ranges
    [first byte, byte after] in which it is bad or older, the older ones that it backs on, and the
    digest over its list of digests, as the panel keeps it."""

    generation: Generation | None = None
    why: str = ""
    forced: Spans = field(default_factory=list)
    chain: tuple[str, ...] = ()
    root: str = ""
    virtual_bytes: int = 0

    def root_at(self, size: int) -> str:
        """What the list of digests of a disk of this size begins as, if that is known."""
        return self.root if self.virtual_bytes == size else ""


def parents_of(store: Store, vm_uuid: str) -> dict[str, Parent]:
    """By target, for every disk that this store holds of the VM. One query."""
    disks = (
        GenerationDisk.objects.filter(generation__store=store, generation__vm_uuid=vm_uuid)
        .exclude(generation__state=Generation.State.MISSING)
        .exclude(generation__trust__in=DISTRUSTED)
        .exclude(generation__taken_at__gt=timezone.now() + AHEAD)
        .select_related("generation")
        .order_by("-generation__taken_at")
    )
    by_target: dict[str, list[GenerationDisk]] = {}
    for disk in disks:
        by_target.setdefault(disk.target, []).append(disk)
    named = {disk.generation_id for disk in disks if disk.bad or disk.unreadable}
    return {target: _parent(kept, named) for target, kept in by_target.items()}


def _parent(newest_first: list[GenerationDisk], named: set[int]) -> Parent:
    links = [
        ChainLink(
            disk.generation.key,
            disk.parent,
            sound=disk.generation.state == Generation.State.COMPLETE or disk.generation_id in named,
        )
        for disk in newest_first
    ]
    choice = choose_parent(links)
    for disk in newest_first:
        if disk.generation.key == choice.parent:
            parents = {link.generation: link.parent for link in links}
            chain = chain_of(choice.parent, parents)
            entry = disk.generation.manifest.disk(disk.target)
            root = entry.root if entry else ""
            forced = [*disk.bad, *disk.unreadable]
            return Parent(disk.generation, "", forced, tuple(chain), root, disk.virtual_bytes)
    return Parent(why=choice.why)


def newest_of(store: Store, vm_uuid: str) -> Generation | None:
    """The newest generation of the VM that lies in this store."""
    found = Generation.objects.filter(store=store, vm_uuid=vm_uuid)
    there = found.exclude(state=Generation.State.MISSING).exclude(trust__in=DISTRUSTED)
    dated = there.exclude(taken_at__gt=timezone.now() + AHEAD)
    return dated.order_by("-taken_at").first()

"""Of the copies that are kept under a target, those that are of the disk which is there now: the
one way in for coverage, policies and retention (the rule is backups/rules/same_disk.py)."""

from collections.abc import Sequence

from backups.models import Generation, GenerationDisk
from backups.rules.coverage.same_disk import Copied, DiskImage, of_disk
from hosts.models import VirtualDisk

Held = tuple[Generation, GenerationDisk]


def of_this_disk(disk: VirtualDisk, held: Sequence[Held]) -> list[Held]:
    """In the order given; no query, `disk.vm.host` was read."""
    copies = [copied(generation, kept) for generation, kept in held]
    found = of_disk(present(disk), disk.first_seen_at, copies)
    return [one for one, is_it in zip(held, found, strict=True) if is_it]


def present(disk: VirtualDisk) -> DiskImage:
    return DiskImage(disk.vm.host.name, disk.source, tuple(disk.backing_chain), disk.inode)


def copied(generation: Generation, disk: GenerationDisk) -> Copied:
    return Copied(
        image_of(generation, disk), generation.taken_at, disk.former, replaced=disk.replaced
    )


def image_of(generation: Generation, disk: GenerationDisk) -> DiskImage:
    return DiskImage(generation.source_host, disk.source, tuple(disk.chain), disk.inode)

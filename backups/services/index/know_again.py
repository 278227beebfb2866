"""What the digests of a new copy say of its parent: one disk under two names, or another disk."""

from backups.models import GenerationDisk
from backups.rules.coverage.same_disk import Compared, content_says
from backups.selectors.coverage.same_disk import image_of
from labpanel.lib.store_format.manifest import DiskEntry


def told_again(made: GenerationDisk, entry: DiskEntry) -> GenerationDisk:
    """The row of a disk, not saved yet, with what its content tells of its parent's image. `entry`
    is the same disk in the manifest."""
    if not entry.parent:
        return made
    generation = made.generation
    before = (
        GenerationDisk.objects.select_related("generation")
        .defer("generation__manifest")
        .filter(
            generation__key=entry.parent, generation__store=generation.store, target=made.target
        )
        .first()
    )
    if before is None:
        return made
    now, then = image_of(generation, made), image_of(before.generation, before)
    says = content_says(now, then, Compared(entry.mode, entry.alike_bytes, entry.lost_bytes))
    made.former = before.source if says else ""
    made.replaced = says is False
    return made

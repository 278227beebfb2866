"""Bring the rows of a store's generations in line with what a prune did there."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from backups.models import Generation, GenerationDisk, InstantRun, Store
from backups.services.index.signing import signed
from labpanel.jobs.models import Job
from labpanel.jobs.notes import from_state
from labpanel.lib.store_format.found import Entry
from labpanel.lib.store_format.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Dropping:
    """Noted by a prune before it drops: the key of the store's row, those of the generations."""

    store: int
    drop: tuple[str, ...]


@transaction.atomic
def forget_pruned(store: Store, keys: Iterable[str]) -> None:
    """Generations that were dropped on purpose are no loss: their rows go, with their rehearsals
    and with what ran from them once. The job says what went, and why. What no prune of this panel
    was to drop stays, whatever the store says of it."""
    gone = store.generations.filter(key__in=_asked(store).intersection(keys))
    InstantRun.objects.filter(generation__in=gone).exclude(ended_at=None).delete()
    gone.delete()


def _asked(store: Store) -> set[str]:
    """Keys of all that this panel's prunes were to drop there."""
    jobs = Job.objects.filter(kind="prune", parameters__store=store.pk)
    states = jobs.values_list("state_data", flat=True)
    asked = [from_state(state, Dropping) for state in states]
    return {key for one in asked if one for key in one.drop}


def catch_up(store: Store, entries: Iterable[Entry]) -> None:
    """Take in what merging wrote into the manifests (as a look at the store found them)."""
    found = {entry.key: entry.manifest for entry in entries if entry.manifest}
    for generation in store.generations.filter(key__in=found).prefetch_related("disks"):
        whole = found[generation.key]
        if whole.signature is None and generation.trust == Generation.Trust.SIGNED:
            whole = signed(whole)  # the store takes no writes, or lost it
        take_manifest(generation, whole)


@transaction.atomic
def take_manifest(generation: Generation, manifest: Manifest) -> None:
    """What a generation is never changes; which files it is made of may."""
    if manifest == generation.manifest or not manifest.is_of_same(generation.manifest):
        return
    generation.manifest = manifest
    generation.save(update_fields=["manifest"])
    for disk in generation.disks.all():
        new = manifest.disk(disk.target)
        if new is not None:
            GenerationDisk.objects.filter(pk=disk.pk).update(
                parent=new.parent, written_bytes=new.file_bytes
            )

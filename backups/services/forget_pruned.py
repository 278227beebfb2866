"""Bring the rows of a store's generations in line with what a prune did there."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from backups.models import Generation, GenerationDisk, InstantRun, Store


@transaction.atomic
def forget_pruned(store: Store, keys: Iterable[str]) -> None:
    """Generations that were dropped on purpose are no loss: their rows go, with their rehearsals
    and with what ran from them once. The job says what went, and why."""
    gone = store.generations.filter(key__in=list(keys))
    InstantRun.objects.filter(generation__in=gone).exclude(ended_at=None).delete()
    gone.delete()


def catch_up(store: Store, entries: Iterable[Mapping[str, Any]]) -> None:
    """Take in what merging wrote into the manifests (as a look at the store found them)."""
    found = {entry["key"]: entry["manifest"] for entry in entries if "manifest" in entry}
    for generation in store.generations.filter(key__in=found).prefetch_related("disks"):
        take_manifest(generation, found[generation.key])


@transaction.atomic
def take_manifest(generation: Generation, manifest: dict[str, Any]) -> None:
    """What a generation is never changes; which files it is made of may."""
    if manifest == generation.manifest or not _same(manifest, generation.manifest):
        return
    generation.manifest = manifest
    generation.save(update_fields=["manifest"])
    parents = {disk["target"]: disk.get("parent") or "" for disk in manifest["disks"]}
    for disk in generation.disks.all():
        if parents.get(disk.target, disk.parent) != disk.parent:
            disk.parent = parents[disk.target]
            GenerationDisk.objects.filter(pk=disk.pk).update(parent=disk.parent)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Format 1 has no digest of what a generation is, but its roots say the same."""
    roots = [{disk["target"]: disk["root"] for disk in each["disks"]} for each in (one, other)]
    return bool(one["generation"] == other["generation"] and roots[0] == roots[1])

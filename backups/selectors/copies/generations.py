"""Generations as pages, API and CLI show them."""

from typing import Any, TypedDict

from django.db.models import QuerySet

from backups.models import Generation
from backups.rules.backup.left_out import sentences
from backups.selectors.copies.left_out import left_out_of
from hosts.models import VM
from labpanel.lib.naming import pick


def generation_list(vm: VM | None = None) -> QuerySet[Generation]:
    """Newest first, with what `as_json` needs; two queries."""
    found = Generation.objects.select_related("store").prefetch_related("disks")
    return found.filter(vm_uuid=vm.uuid) if vm is not None else found


def find_generation(word: str) -> Generation:
    """By its name or the unique beginning of it. Raises Refusal (404, 409)."""
    known = generation_list()
    return pick(
        word,
        "generation",
        known,
        lambda generation: [generation.key],
        lambda generation: f"{generation.key} of {generation.vm_name}",
    )


class SavedDiskJson(TypedDict):
    """A disk of a generation, and what saving it took."""

    target: str
    mode: str
    virtual_bytes: int
    read_bytes: int
    written_bytes: int
    seconds: float


class BackupJson(TypedDict):
    """What `backup --json` says."""

    generation: str
    vm: str
    store: str
    consistency: str
    disks: list[SavedDiskJson]


class GenerationJson(BackupJson):
    """The same, with when and where it was taken, and what is proven of it."""

    vm_uuid: str
    host: str
    taken_at: str
    state: str
    damage: str
    trust: str
    left_out: list[str]
    faults: list[dict[str, Any]]
    protected_because: str
    hashed_at: str | None
    verified_at: str | None
    rehearsed_at: str | None


def backup_json(generation: Generation) -> BackupJson:
    """What `backup --json` prints and the API answers: one generation with its disks."""
    return {
        "generation": generation.key,
        "vm": generation.vm_name,
        "store": generation.store.name,
        "consistency": generation.consistency,
        "disks": [
            {
                "target": disk.target,
                "mode": disk.mode,
                "virtual_bytes": disk.virtual_bytes,
                "read_bytes": disk.read_bytes,
                "written_bytes": disk.written_bytes,
                "seconds": round(disk.seconds, 3),
            }
            for disk in generation.disks.all()
        ],
    }


def as_json(generation: Generation) -> GenerationJson:
    """The same, with when and where it was taken, and what is proven of it."""
    return {
        **backup_json(generation),
        "vm_uuid": str(generation.vm_uuid),
        "host": generation.source_host,
        "taken_at": generation.taken_at.isoformat(),
        "state": generation.state,
        "damage": generation.damage,
        "trust": generation.trust,
        "left_out": sentences(left_out_of(generation)),
        "faults": generation.faults,
        "protected_because": generation.protected_because,
        "hashed_at": generation.hashed_at.isoformat() if generation.hashed_at else None,
        "verified_at": generation.verified_at.isoformat() if generation.verified_at else None,
        "rehearsed_at": generation.rehearsed_at.isoformat() if generation.rehearsed_at else None,
    }

"""A generation's manifest as rows. The store holds the truth; this may run again at any time."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from backups.models import Generation, GenerationDisk, Store
from backups.rules.faults import LOOK, Fault, Seen
from backups.rules.spans import spelled
from backups.services.forget_pruned import take_manifest
from backups.services.record_faults import record_faults
from hosts.models import VM


@transaction.atomic
def index_generation(store: Store, manifest: dict[str, Any], damage: str = "") -> Generation:
    """Write down what a manifest says, once; later only the state is brought up to date."""
    vm_uuid = manifest["vm"]["uuid"]
    generation, fresh = Generation.objects.get_or_create(
        key=manifest["generation"],
        defaults={
            "store": store,
            "vm": VM.objects.filter(uuid=vm_uuid).first(),
            "vm_uuid": vm_uuid,
            "vm_name": manifest["vm"]["name"],
            "source_host": manifest["host"],
            "taken_at": datetime.fromisoformat(manifest["taken_at"]),
            "consistency": manifest["consistency"],
            "manifest": manifest,
        },
    )
    if fresh:
        GenerationDisk.objects.bulk_create(_disk(generation, disk) for disk in manifest["disks"])
    else:
        take_manifest(generation, manifest)
    _mark(generation, damage or lacking(manifest))
    return generation


def lacking(manifest: dict[str, Any]) -> str:
    """What the source could not read, as the damage of the generation."""
    return "; ".join(
        f"{disk['target']} lacks {spelled(disk['unreadable'])}, which its source could not read"
        for disk in manifest["disks"]
        if disk.get("unreadable")
    )


def _disk(generation: Generation, disk: dict[str, Any]) -> GenerationDisk:
    return GenerationDisk(
        generation=generation,
        target=disk["target"],
        source=disk["source"],
        mode=disk["mode"],
        why=disk.get("why", ""),
        parent=disk.get("parent") or "",
        unreadable=disk.get("unreadable", []),
        missed=disk.get("missed", []),
        virtual_bytes=disk["virtual_bytes"],
        read_bytes=disk["read_bytes"],
        written_bytes=disk["file_bytes"],
        seconds=disk["seconds"],
    )


def _mark(generation: Generation, damage: str) -> None:
    """Damage that a look finds is taken back by a look that finds none; what a verification
    found stays until the next verification. A generation that lies there is not missing."""
    back = generation.state == Generation.State.MISSING
    if back:
        generation.state = Generation.State.COMPLETE
        generation.save(update_fields=["state"])
    if back or damage or any(fault["level"] == LOOK for fault in generation.faults):
        record_faults({generation.key: [looked(generation.key, damage)]}, {}, timezone.now())
        generation.refresh_from_db()


def looked(key: str, damage: str) -> Seen:
    """What a look at the store saw of a generation; no damage takes back what another look saw."""
    faults = [Fault(LOOK, key, "", damage)] if damage else []
    return Seen(faults, frozenset({LOOK}))

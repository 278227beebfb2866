"""Write down what was seen of generations: their faults, and the state and words that follow."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction

from backups.models import Generation
from backups.rules.copies.faults import (
    CONTENT,
    FILES,
    Fault,
    InspectedGeneration,
    added,
    bad_of,
    from_json,
    text,
)


@transaction.atomic
def record_faults(
    findings: Mapping[str, Iterable[InspectedGeneration]],
    proven: Mapping[str, Iterable[int]],
    now: datetime,
) -> None:
    """For each generation that was looked at, all in one transaction. `proven` are the levels at
    which a generation was looked at in full; it counts as proven at each in which nothing is
    wrong with it, and as proven at none while something is."""
    rows = Generation.objects.select_for_update().filter(key__in=findings).order_by("pk")
    for row in rows:
        faults = faults_of(row)
        for seen in findings[row.key]:
            faults = added(faults, seen)
        _write(row, faults, set(proven.get(row.key, ())), now)


def faults_of(row: Generation) -> list[Fault]:
    return [from_json(entry) for entry in row.faults]


def _write(row: Generation, faults: list[Fault], levels: set[int], now: datetime) -> None:
    row.faults = [fault.as_json() for fault in faults]
    row.damage = text(faults, row.key)
    if row.state != Generation.State.MISSING:  # what is gone is worse than damaged
        row.state = Generation.State.DAMAGED if faults else Generation.State.COMPLETE
    if faults:
        row.hashed_at = row.verified_at = None
    if FILES in levels and not faults:
        row.hashed_at = now
    if CONTENT in levels and not faults:
        row.verified_at = now
    row.save(update_fields=["state", "damage", "faults", "hashed_at", "verified_at"])
    for disk in row.disks.all():
        bad = bad_of(faults, disk.target, disk.virtual_bytes)
        if disk.bad != bad:
            disk.bad = bad
            disk.save(update_fields=["bad"])

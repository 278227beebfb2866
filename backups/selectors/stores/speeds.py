"""How fast each store gave and took, measured from what was done, in bytes as they are stored."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from django.db.models import F, Sum

from backups.models import Generation, GenerationDisk
from backups.rules.coverage.exposure import (
    BACKUP,
    NEWEST,
    RESTORE,
    SOURCES,
    VERIFY,
    Measure,
    Speed,
    measured,
)
from backups.selectors.copies.stored import stored_bytes
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.hints import FULL

# Enough for the newest few of each of a home's stores.
_JOBS, _BACKUPS = 200, 200
Found = dict[str, dict[str, list[Measure]]]


def speeds() -> dict[str, Speed]:
    """By the store's name; a store without any measurement is left out. Five queries."""
    made = {store: measured(store, kinds) for store, kinds in _read().items()}
    return {store: speed for store, speed in made.items() if speed is not None}


def speeds_of(store: str) -> list[Speed]:
    """Of one store all that was measured, what tells most first. Five queries."""
    found = _read()[store]
    each = [measured(store, {kind: found[kind]}) for kind in SOURCES if kind in found]
    return [speed for speed in each if speed is not None]


def _read() -> Found:
    found: Found = defaultdict(lambda: defaultdict(list))
    _read_jobs(found)
    _read_backups(found)
    return found


def _read_jobs(found: Found) -> None:
    """Restores and level-2 verifications: what is stored of their disks over their whole time."""
    done = Job.objects.filter(kind__in=(RESTORE, VERIFY), state=State.DONE, total_bytes__gt=0)
    newest = done.order_by("-pk").only("kind", "parameters", "started_at", "ended_at")[:_JOBS]
    jobs = [job for job in newest if _tells(job.kind, job.parameters)]
    keys = {job.parameters["generation"] for job in jobs}
    stores = dict(Generation.objects.filter(key__in=keys).values_list("key", "store__name"))
    stored = stored_bytes(keys)
    for job in jobs:
        key, chosen = job.parameters["generation"], job.parameters.get("disks")
        amounts = [
            size
            for (of, target), size in stored.items()
            if of == key and (not chosen or target in chosen)
        ]
        store, seconds = stores.get(key), _seconds(job.started_at, job.ended_at)
        if store and seconds:
            found[store][job.kind].append(Measure(sum(amounts), seconds))


def _tells(kind: str, parameters: dict[str, Any]) -> bool:
    """Whether such a job reads whole disks of one generation: not one that puts a VM's own disks
    back (only what differs is fetched), nor one that mixes generations, of several stores maybe."""
    key = parameters.get("generation")
    if kind == VERIFY:
        return key is not None and parameters.get("level") == 2
    mixed = any(other not in {"", key} for other in (parameters.get("disks") or {}).values())
    return key is not None and not mixed and not parameters.get("in_place")


def _read_backups(found: Found) -> None:
    """Full backups, by generation: their disks are copied one after the other."""
    full = GenerationDisk.objects.filter(mode=FULL, seconds__gt=0, parent="")
    per = full.values("generation").annotate(
        store=F("generation__store__name"), bytes=Sum("written_bytes"), took=Sum("seconds")
    )
    rows = per.order_by("-generation__taken_at").values_list("store", "bytes", "took")
    for store, size, took in rows[:_BACKUPS]:
        if len(found[store][BACKUP]) < NEWEST:
            found[store][BACKUP].append(Measure(size, took))


def _seconds(started: datetime | None, ended: datetime | None) -> float:
    return (ended - started).total_seconds() if started and ended else 0.0

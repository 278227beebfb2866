"""Copies that count for nothing: put there by others, forged, or dated in the future."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from django.db.models import Q

from backups.models import Generation, Store
from backups.rules.copies.trust import AHEAD, DISTRUSTED, advice, doubt

SHOWN = 50


class DoubtfulJson(TypedDict):
    """The shape of an incident, as far as it has one: what lies in a store is of no host."""

    kind: str
    subject: str
    vm: str
    store: str
    severity: str
    title: str
    advice: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """One of them. `severity` is bad for what others may have put there, else watch."""

    generation: str
    vm: str
    store: str
    severity: str
    sentence: str
    advice: str

    def as_json(self) -> DoubtfulJson:
        return {
            "kind": "copy",
            "subject": self.generation,
            "vm": self.vm,
            "store": self.store,
            "severity": self.severity,
            "title": self.sentence,
            "advice": self.advice,
        }


def doubtful(now: datetime, store: Store | None = None) -> list[Doubtful]:
    """The worst first, at most SHOWN; one query."""
    found = Generation.objects.filter(Q(trust__in=DISTRUSTED) | Q(taken_at__gt=now + AHEAD))
    if store is not None:
        found = found.filter(store=store)
    there = found.exclude(state=Generation.State.MISSING).select_related("store")
    rows = there.defer("manifest", "faults").order_by("-trust", "-taken_at")[:SHOWN]
    made = [_one(row, now) for row in rows]
    return sorted(made, key=lambda each: each.severity != "bad")


def _one(row: Generation, now: datetime) -> Doubtful:
    what = doubt(row.trust, row.taken_at, now)
    return Doubtful(
        generation=row.key,
        vm=row.vm_name,
        store=row.store.name,
        severity="bad" if row.trust in DISTRUSTED else "watch",
        sentence=f"Copy {row.key} of {row.vm_name} in {row.store.name} {what}.",
        advice=f"It counts for nothing. {advice(row.trust, row.key)}",
    )

"""Rehearsals as pages, API and command line show them. Their pictures are not read here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from backups.models import Generation, Rehearsal
from hosts.models import Host


@dataclass(frozen=True, slots=True)
class Rehearsing:
    """What a generation's page shows: the newest rehearsal, and the hosts for another one."""

    latest: "Shown | None"
    hosts: list[str]


class RehearsalJson(TypedDict):
    """`checks` are what was looked at; `passed` of one is null where it is not proven. `screen` is
    the address of its picture."""

    generation: str
    vm: str
    host: str
    began_at: str
    ended_at: str
    passed: bool
    sentence: str
    checks: list[dict[str, Any]]
    screen: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One rehearsal. `level` and `word` are for a mark; `checks` as the model has them, what is
    wrong first; `pictured`, whether there is a picture of the screen to be fetched."""

    pk: int
    generation: str
    vm: str
    host: str
    began_at: datetime
    ended_at: datetime
    passed: bool
    level: str
    word: str
    sentence: str
    checks: list[dict[str, Any]]
    pictured: bool

    def as_json(self) -> RehearsalJson:
        """Times in ISO 8601; without what only a page needs."""
        return {
            "generation": self.generation,
            "vm": self.vm,
            "host": self.host,
            "began_at": self.began_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
            "passed": self.passed,
            "sentence": self.sentence,
            "checks": self.checks,
            "screen": f"/rehearsals/{self.pk}/screen.png" if self.pictured else None,
        }


def rehearsing_of(generation: Generation) -> Rehearsing:
    """Two queries."""
    return Rehearsing(latest_of(generation), list(Host.objects.values_list("name", flat=True)))


def latest_of(generation: Generation) -> Shown | None:
    """The newest rehearsal of a generation, passed or not; one query."""
    newest = without_pictures(Rehearsal.objects.filter(generation=generation)).first()
    return shown(newest) if newest is not None else None


def rehearsals_of(generation: Generation) -> list[Shown]:
    """All of them, newest first; one query."""
    return [shown(one) for one in without_pictures(Rehearsal.objects.filter(generation=generation))]


def without_pictures(found: QuerySet[Rehearsal]) -> QuerySet[Rehearsal]:
    """`pictured` says whether there is a picture, which is not read."""
    has = ExpressionWrapper(Q(thumbnail__isnull=False), output_field=BooleanField())
    return (
        found.annotate(pictured=has)
        .select_related("generation", "host")
        .defer("screenshot", "thumbnail", "generation__manifest")
    )


def shown(one: Rehearsal) -> Shown:
    """From a row of `without_pictures`."""
    failed = any(check["passed"] is False for check in one.checks)
    level, word = ("good", "passed") if one.passed else ("watch", "not proven")
    if failed:
        level, word = "bad", "failed"
    return Shown(
        pk=one.pk,
        generation=one.generation.key,
        vm=one.generation.vm_name,
        host=one.host.name if one.host else "",
        began_at=one.began_at,
        ended_at=one.ended_at,
        passed=one.passed,
        level=level,
        word=word,
        sentence=one.sentence,
        checks=sorted(one.checks, key=lambda check: check["passed"] is not False),
        pictured=bool(getattr(one, "pictured", False)),
    )

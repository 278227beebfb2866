"""A symptom: what one look saw to be wrong. No sentence: those are made of it in words/."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from labpanel.symptoms.declared import Facts, kind_of
from labpanel.symptoms.kinds import Kind, Level, SubjectKind


@dataclass(frozen=True, slots=True)
class SymptomSubject:
    """The thing that it is seen on. `key` tells it from others of its sort on the same host: a
    mount point, a drive's key, an image's path, a UUID; empty for the host itself."""

    kind: SubjectKind
    key: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reading that speaks for it: what was read, the value, from where, and since when."""

    what: str
    value: str | int | float
    source: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Symptom:
    """`since` is when it began, None where that is not known; `vms` are those that it touches."""

    subject: SymptomSubject
    level: Level
    facts: Facts
    evidence: tuple[Evidence, ...] = ()
    vms: tuple[UUID, ...] = ()
    since: datetime | None = None

    @property
    def kind(self) -> Kind:
        return kind_of(self.facts)


@dataclass(slots=True)
class Look:
    """What one look at a host found: the symptoms that stand, and the subjects (kind, key) on which
    it saw that there is none. Of anything else it says nothing: what is open stays open."""

    found: list[Symptom] = field(default_factory=list)
    over: list[tuple[Kind, str]] = field(default_factory=list)

    def is_over(self, kind: Kind, keys: Iterable[str]) -> None:
        self.over += [(kind, key) for key in keys]

"""Everything that the coverage page shows: each disk with its days, and what is kept back."""

from dataclasses import dataclass
from datetime import datetime

from backups.models import Generation, Hold, Rehearsal
from backups.rules.coverage.days import Day, troubles, words
from backups.selectors.copies.rehearsals import Shown, shown, without_pictures
from backups.selectors.coverage.coverage import CoverageRow, coverage, summary
from backups.selectors.coverage.days import days_of
from backups.selectors.policies.policies import Policies
from backups.selectors.stores.stores import StoreRow, store_list


@dataclass(frozen=True, slots=True)
class CoverageLine:
    """One virtual disk. `booted` is the rehearsal that counts for it, if there is one."""

    row: CoverageRow
    days: list[Day]
    words: str
    troubles: list[Day]
    booted: Shown | None
    hold: Hold | None

    @property
    def is_out(self) -> bool:
        return self.row.verdict == "excluded"


@dataclass(frozen=True, slots=True)
class CoveragePage:
    lines: list[CoverageLine]
    counts: dict[str, int]
    stores: list[StoreRow]
    holds: list[Hold]
    protected: list[Generation]
    has_policy: bool


def coverage_page(now: datetime) -> CoveragePage:
    """A constant number of queries."""
    rows = coverage(now)
    days = days_of(rows, now)
    holds = list(Hold.objects.filter(released_at=None).select_related("vm"))
    held = {hold.vm.uuid: hold for hold in holds}
    booted = _booted(rows)
    lines = []
    for row in rows:
        strip = days[(row.vm_uuid, row.disk)]
        last = booted.get(row.rehearsed.generation) if row.rehearsed else None
        hold = held.get(row.vm_uuid)
        lines.append(CoverageLine(row, strip, words(strip), troubles(strip), last, hold))
    return CoveragePage(
        lines=lines,
        counts=summary(rows),
        stores=store_list(),
        holds=holds,
        protected=_protected(),
        has_policy=any(policy.enabled for policy in Policies().all),
    )


def _booted(rows: list[CoverageRow]) -> dict[str, Shown]:
    """The last passed rehearsal of each generation that counts for a disk, by its key."""
    keys = {row.rehearsed.generation for row in rows if row.rehearsed}
    found = Rehearsal.objects.filter(generation__key__in=keys, passed=True).order_by("began_at")
    return {each.generation.key: shown(each) for each in without_pictures(found)}


def _protected() -> list[Generation]:
    there = Generation.objects.exclude(protected_because="")
    return list(there.exclude(state=Generation.State.MISSING).select_related("store"))

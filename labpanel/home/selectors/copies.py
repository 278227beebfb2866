"""What the coverage of its virtual disks means for a VM, in a few words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from backups.selectors.coverage.coverage import CoverageRow
from labpanel.lib.durations import between
from labpanel.lib.units import listed

# Of one disk and of several; verdicts that are not here are said by their age.
_WORDS = {
    "none": ("has no copy", "have no copy"),
    "broken": ("has a broken copy", "have broken copies"),
    "local only": ("has no copy elsewhere", "have no copy elsewhere"),
    "unknown": ("is unknown", "are unknown"),
    "excluded": ("is left out on purpose", "are left out on purpose"),
}
_BUT = {"stale": ", too old", "unverified": ", not read back", "unrehearsed": ", not booted"}


@dataclass(frozen=True, slots=True)
class CopyState:
    """The copy state of a VM in a few words. `level` is one of LEVEL_ORDER."""

    level: str
    words: str


def by_vm(rows: Iterable[CoverageRow]) -> dict[UUID, list[CoverageRow]]:
    """Rows of each VM, still worst first."""
    found: dict[UUID, list[CoverageRow]] = {}
    for row in rows:
        found.setdefault(row.vm_uuid, []).append(row)
    return found


def copy_state(rows: Sequence[CoverageRow], now: datetime) -> CopyState:
    """Of one VM, whose rows come worst first."""
    if not rows:
        return CopyState("unknown", "no disk")
    worst = rows[0]
    if worst.mild:
        return CopyState(worst.level, f"{worst.disk}: a copy is broken")
    alike = [row.disk for row in rows if row.verdict == worst.verdict]
    if worst.verdict in _WORDS:
        one, many = _WORDS[worst.verdict]
        if len(alike) == 1:
            return CopyState(worst.level, f"{alike[0]} {one}")
        what = listed(alike) if len(alike) == 2 else f"{len(alike)} disks"
        return CopyState(worst.level, f"{what} {many}")
    oldest = min((row.newest.taken_at for row in rows if row.newest), default=now)
    return CopyState(worst.level, f"copy {between(oldest, now)} ago{_BUT.get(worst.verdict, '')}")

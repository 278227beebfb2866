"""Which copies are to be verified next, and at which level. Pure.

Reading content (level 2) takes as long as the disks are big, so it is the newest good copy in each
store that is read so often as the policy says: it is the one that would be needed, and reading it
reads through all that it is built on. Hashing files (level 1) reads no more than what the copy
itself takes, and sees what nobody's view shows: a new copy is hashed soon, every one each month.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backups.rules.faults import CONTENT, FILES
from backups.rules.upkeep import Copy

MONTHLY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Due:
    """Verify this one at this level; `why` ends "… is verified because"."""

    key: str
    store: int
    level: int
    why: str


def due(copies: Sequence[Copy], verify_days: int, now: datetime) -> list[Due]:
    """All that is due for one VM, most urgent first."""
    return [*_contents(copies, verify_days, now), *_files(copies, now)]


def _contents(copies: Sequence[Copy], days: int, now: datetime) -> list[Due]:
    newest: dict[int, Copy] = {}
    for copy in sorted(copies, key=lambda copy: copy.taken_at):
        newest[copy.store] = copy
    found = []
    for copy in newest.values():
        if copy.verified_at is None:
            found.append((datetime.min.replace(tzinfo=now.tzinfo), copy, "it was never read back"))
        elif now - copy.verified_at >= timedelta(days=days):
            why = f"it was not read back for {days} days"
            found.append((copy.verified_at, copy, why))
    found.sort(key=lambda each: (each[0], each[1].key))
    return [Due(copy.key, copy.store, CONTENT, why) for _, copy, why in found]


def _files(copies: Sequence[Copy], now: datetime) -> list[Due]:
    """New ones newest first, then the ones hashed longest ago."""
    never = sorted((copy for copy in copies if copy.hashed_at is None), key=_taken, reverse=True)
    known = [(copy.hashed_at, copy) for copy in copies if copy.hashed_at is not None]
    old = sorted(
        ((at, copy) for at, copy in known if now - at >= MONTHLY),
        key=lambda pair: (pair[0], pair[1].key),
    )
    return [
        *(Due(copy.key, copy.store, FILES, "its files were never checked") for copy in never),
        *(Due(copy.key, copy.store, FILES, "its files were checked long ago") for _, copy in old),
    ]


def _taken(copy: Copy) -> datetime:
    return copy.taken_at

"""Which copies are to be verified next, and at which level. Pure.

Reading content (level 2) takes as long as the disks are big, so it is the newest good copy in each
store that is read so often as the policy says: it is the one that would be needed, and reading it
reads through all that it is built on. Hashing files (level 1) reads no more than what the copy
itself takes, and sees what no reader of its content sees: a new copy is hashed soon, every one each
month. A proof that is dated in the future was made while the clock was ahead: it is made again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backups.rules.copies.faults import CONTENT, FILES
from backups.rules.policies.next_rehearsal import RehearsableCopy
from labpanel.lib.clock import SLACK

MONTHLY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class VerificationDue:
    """Verify this one at this level; `why` ends "… is verified because"."""

    key: str
    store: int
    level: int
    why: str


def due(
    copies: Sequence[RehearsableCopy], verify_days: int, now: datetime
) -> list[VerificationDue]:
    """All that is due for one VM, most urgent first."""
    return [*_contents(copies, verify_days, now), *_files(copies, now)]


def _contents(copies: Sequence[RehearsableCopy], days: int, now: datetime) -> list[VerificationDue]:
    newest: dict[int, RehearsableCopy] = {}
    for copy in sorted(copies, key=lambda copy: copy.taken_at):
        newest[copy.store] = copy
    found = []
    for copy in newest.values():
        if copy.verified_at is None:
            found.append((datetime.min.replace(tzinfo=now.tzinfo), copy, "it was never read back"))
        elif not -SLACK <= now - copy.verified_at < timedelta(days=days):
            why = f"it was not read back for {days} days"
            found.append((copy.verified_at, copy, why))
    found.sort(key=lambda each: (each[0], each[1].key))
    return [VerificationDue(copy.key, copy.store, CONTENT, why) for _, copy, why in found]


def _files(copies: Sequence[RehearsableCopy], now: datetime) -> list[VerificationDue]:
    """New ones newest first, then the ones hashed longest ago."""
    never = sorted((copy for copy in copies if copy.hashed_at is None), key=_taken, reverse=True)
    known = [(copy.hashed_at, copy) for copy in copies if copy.hashed_at is not None]
    old = sorted(
        ((at, copy) for at, copy in known if not -SLACK <= now - at < MONTHLY),
        key=lambda pair: (pair[0], pair[1].key),
    )
    return [
        *(
            VerificationDue(copy.key, copy.store, FILES, "its files were never checked")
            for copy in never
        ),
        *(
            VerificationDue(copy.key, copy.store, FILES, "its files were checked long ago")
            for _, copy in old
        ),
    ]


def _taken(copy: RehearsableCopy) -> datetime:
    return copy.taken_at

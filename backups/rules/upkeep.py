"""Which copies of a VM are to be read back or booted next. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Copy:
    """One whole generation of a VM. `off_host`: its store is not on the VM's host. The times are
    of its last proofs, None for never."""

    key: str
    store: int
    taken_at: datetime
    targets: frozenset[str]
    off_host: bool
    verified_at: datetime | None = None
    rehearsed_at: datetime | None = None


def to_verify(copies: Sequence[Copy], days: int, now: datetime) -> list[Copy]:
    """Those that were not read back for so many days: never read ones first and of these the
    newest (it is the one that would be needed), then the one whose proof is the oldest."""
    before = now - timedelta(days=days)
    never = [copy for copy in copies if copy.verified_at is None]
    known = [(copy.verified_at, copy) for copy in copies if copy.verified_at is not None]
    old = sorted(((at, copy) for at, copy in known if at <= before), key=lambda pair: pair[0])
    newest_first = sorted(never, key=lambda copy: copy.taken_at, reverse=True)
    return [*newest_first, *(copy for _, copy in old)]


def to_rehearse(copies: Sequence[Copy], days: int, now: datetime) -> Copy | None:
    """The newest one elsewhere that was read back, if one of its disks was not booted from any
    copy elsewhere for so many days; copies on the VM's own host speak only where there are no
    others. 0 days: never."""
    if not days:
        return None
    elsewhere = [copy for copy in copies if copy.off_host] or list(copies)
    read = [copy for copy in elsewhere if copy.verified_at is not None]
    newest = max(read, key=lambda copy: copy.taken_at, default=None)
    if newest is None:
        return None
    after = now - timedelta(days=days)
    booted = [copy for copy in elsewhere if copy.rehearsed_at and copy.rehearsed_at > after]
    proven = frozenset[str]().union(*(copy.targets for copy in booted))
    return None if newest.targets <= proven else newest

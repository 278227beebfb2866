"""Which copy of a VM is to be booted next (proof.py: which are to be verified). Pure."""

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
    hashed_at: datetime | None = None
    verified_at: datetime | None = None
    rehearsed_at: datetime | None = None


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

"""Which copy of a VM is to be booted next (proof.py: which are to be verified). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from labpanel.lib.clock import SLACK


@dataclass(frozen=True, slots=True)
class RehearsableCopy:
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


def to_rehearse(
    copies: Sequence[RehearsableCopy], days: int, now: datetime
) -> RehearsableCopy | None:
    """The newest one elsewhere that was read back, if one of its disks was not booted from any
    copy elsewhere for so many days; copies on the VM's own host speak only where there are no
    others. 0 days: never. A boot dated in the future proves nothing."""
    if not days:
        return None
    elsewhere = [copy for copy in copies if copy.off_host] or list(copies)
    read = [copy for copy in elsewhere if copy.verified_at is not None]
    newest = max(read, key=lambda copy: copy.taken_at, default=None)
    if newest is None:
        return None
    after = now - timedelta(days=days)
    booted = [
        one for one in elsewhere if one.rehearsed_at and after < one.rehearsed_at <= now + SLACK
    ]
    proven = frozenset[str]().union(*(copy.targets for copy in booted))
    return None if newest.targets <= proven else newest

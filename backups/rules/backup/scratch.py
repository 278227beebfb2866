"""How much room what the guest overwrites during a backup may take. Pure.

A scratch file that cannot grow breaks the guest's writes, not the backup (QEMU's
copy-before-write filter, on-cbw-error=break-guest-write), so the backup gives up long before.
"""

from dataclasses import dataclass

from hosts.rules.health.room import scratch_floor as floor
from hosts.rules.health.room import scratch_needs

__all__ = ["Reserve", "enough", "enough_for_staging", "floor", "reserve"]


@dataclass(frozen=True, slots=True)
class Reserve:
    """In bytes: what is set aside for the scratch files, and what they may take before the backup
    is ended, 80 % of it."""

    reserved: int

    @property
    def limit(self) -> int:
        return self.reserved * 4 // 5


def enough(available_bytes: int, size_bytes: int, virtual_bytes: int) -> bool:
    """Whether to start at all: the floor, and a fifth of the disks or 1 GiB. They need not be
    rewritten in full while a backup runs, and the guard sees to the rest: a thin disk that is
    larger than its drive must not go without backups."""
    return available_bytes >= scratch_needs(size_bytes, virtual_bytes)


def reserve(available_bytes: int, size_bytes: int, virtual_bytes: int) -> Reserve:
    """All that is free above the floor, and never more than a full rewrite of the disks needs."""
    return Reserve(max(0, min(available_bytes - floor(size_bytes), virtual_bytes * 21 // 20)))


def enough_for_staging(available_bytes: int, size_bytes: int, copied_bytes: int) -> bool:
    """Whether a whole copy of the disks (`copied_bytes`, as qcow2) may be laid beside them."""
    return available_bytes >= floor(size_bytes) + copied_bytes * 21 // 20

"""How much room what the guest overwrites during a backup may take. Pure.

A scratch file that cannot grow breaks the guest's writes, not the backup (QEMU's
copy-before-write filter, on-cbw-error=break-guest-write), so the backup gives up long before.
"""

from dataclasses import dataclass

_MIB = 1 << 20
_LEAST = 64 * _MIB
_MOST = 1024 * _MIB


@dataclass(frozen=True, slots=True)
class Reserve:
    """In bytes: what is set aside for the scratch files, and what they may take before the backup
    is ended, 80 % of it."""

    reserved: int

    @property
    def limit(self) -> int:
        return self.reserved * 4 // 5


def floor(size_bytes: int) -> int:
    """Free bytes of the scratch's file system below which the backup is given up: 5 % of it,
    at least 64 MiB and at most 1 GiB."""
    return max(_LEAST, min(_MOST, size_bytes // 20))


def enough(available_bytes: int, size_bytes: int, virtual_bytes: int) -> bool:
    """Whether to start at all: the floor, and a fifth of the disks or 1 GiB. They need not be
    rewritten in full while a backup runs, and the guard sees to the rest: a thin disk that is
    larger than its drive must not go without backups."""
    return available_bytes >= floor(size_bytes) + min(virtual_bytes // 5, _MOST)


def reserve(available_bytes: int, size_bytes: int, virtual_bytes: int) -> Reserve:
    """All that is free above the floor, and never more than a full rewrite of the disks needs."""
    return Reserve(max(0, min(available_bytes - floor(size_bytes), virtual_bytes * 21 // 20)))


def enough_for_staging(available_bytes: int, size_bytes: int, copied_bytes: int) -> bool:
    """Whether a whole copy of the disks (`copied_bytes`, as qcow2) may be laid beside them."""
    return available_bytes >= floor(size_bytes) + copied_bytes * 21 // 20

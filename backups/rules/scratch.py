"""How much room what the guest overwrites during a backup may take. Pure.

A scratch file that cannot grow breaks the guest's writes, not the backup (QEMU's
copy-before-write filter, on-cbw-error=break-guest-write), so the backup gives up long before.
"""

_MIB = 1 << 20
_LEAST = 64 * _MIB
_MOST = 1024 * _MIB


def floor(size_bytes: int) -> int:
    """Free bytes of the scratch's file system below which the backup is given up: 5 % of it,
    at least 64 MiB and at most 1 GiB."""
    return max(_LEAST, min(_MOST, size_bytes // 20))


def enough(available_bytes: int, size_bytes: int, virtual_bytes: int) -> bool:
    """Whether to start at all: the floor, and a fifth of the disks (they need not be rewritten
    in full while a backup runs; the watching sees to the rest)."""
    return available_bytes >= floor(size_bytes) + virtual_bytes // 5

"""Which findings make the disks of the VMs that they touch suspect. Pure."""

from labpanel.symptoms.kinds import Kind, Level

# What is written there may not arrive, and what is read may not be what was written.
KINDS = frozenset({Kind.FILE_SYSTEM, Kind.DRIVE, Kind.UNREADABLE, Kind.IMAGE_ERROR})
BAD = Level.BAD


def is_suspect(kind: str, severity: str) -> bool:
    return kind in KINDS and severity == BAD

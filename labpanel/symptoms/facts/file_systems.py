"""What is known of a file system in trouble, of its room, and of blocks that cannot be read."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Cause(StrEnum):
    """What a file system suffers from."""

    READ_ONLY = "read-only"
    IO_ERROR = "io-error"
    TIMEOUT = "timeout"
    MISMATCH = "mismatch"
    FULL = "full"
    MISSING = "missing"
    SLOW = "slow"
    COUNTED = "counted"
    UNMOUNTED = "unmounted"


@dataclass(frozen=True, slots=True)
class FileSystemTrouble:
    """`folder` is the one that was probed, `errors` the count that the file system keeps of itself,
    `slower_than` the seconds that one block takes at least, in steps. `since` is None where the
    sentence does not say it."""

    host: str
    mount_point: str
    cause: Cause
    source: str = ""
    fstype: str = ""
    folder: str = ""
    errors: int = 0
    slower_than: float = 0.0
    since: datetime | None = None


class Shortage(StrEnum):
    """Why the room is little, where the percentage alone does not say it."""

    PERCENT = "percent"
    NO_FILES = "no files"
    FEW_FILES = "few files"
    BACKUP = "backup"
    GROWTH = "growth"


@dataclass(frozen=True, slots=True)
class Little:
    """`percent` free; `days` until it is full (0: within a day), None where that is far or not
    known; `whose` next backup does not fit."""

    why: Shortage
    percent: int
    days: int | None = None
    whose: str = ""


@dataclass(frozen=True, slots=True)
class LittleRoom:
    """On a file system that holds images."""

    host: str
    place: str
    source: str
    little: Little


@dataclass(frozen=True, slots=True)
class LittleStoreRoom:
    """In a store below `path` on `host`."""

    host: str
    store: str
    path: str
    little: Little


@dataclass(frozen=True, slots=True)
class UnreadableBlocks:
    """Bytes `first` to `last` of an image, the lowest of those that could not be read."""

    host: str
    path: str
    first: int
    last: int
    vms: tuple[str, ...]

"""Files that the panel made on a host, and whether they are still what it made."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class MadeFile:
    """`mark` is what the panel wrote to the file itself; empty where its file system keeps none."""

    path: str
    inode: int
    mark: str


class MadeFileState(StrEnum):
    """What is at the path of a file that was made."""

    WHOLE = "whole"  # that very file
    GONE = "gone"
    OTHER = "other"  # something else, or it cannot be told
    USED = "used"  # that file, and a program has it open and locked
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """`bytes` are those that it takes on the disk."""

    path: str
    state: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Based:
    """A VM's image that is one of the files that were asked about, or is built on it."""

    image: str
    file: str

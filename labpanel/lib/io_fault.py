"""A read or a write that a machine could not do: what a script on a host says of it, as a value.

Kept apart by number (errno), never by the words of an error.
"""

import errno
from dataclasses import dataclass
from enum import StrEnum

from labpanel.lib import closed
from labpanel.lib.closed import Odd

# What a drive, its cable, its controller or the file system on it says of itself.
HARDWARE = frozenset(
    {errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.EILSEQ, errno.EREMOTEIO, errno.ENODATA}
)
_MOST_ERRNO = 4096
_MOST_PATH = 4096


class Access(StrEnum):
    """What was tried; unknown where a file was worked on without saying which."""

    READ = "read"
    WRITE = "write"
    UNKNOWN = "access"


@dataclass(frozen=True, slots=True)
class IoFault:
    """`first` and `after` are bytes of the disk or file (the first, and the one after the last);
    `path` is empty where the panel knows it better."""

    access: Access
    number: int
    path: str = ""
    first: int | None = None
    after: int | None = None

    @property
    def is_hardware(self) -> bool:
        """Not a full disk, not a missing right: what was asked of the drive failed."""
        return self.number in HARDWARE

    @property
    def spans(self) -> list[list[int]]:
        if self.first is None or self.after is None or self.after <= self.first:
            return []
        return [[self.first, self.after]]


def parse(answer: object) -> IoFault | None:
    """What a script sent; None where it sent none, or something odd: then its sentence stands."""
    if answer is None:
        return None
    try:
        said = closed.entries(answer, "fault")
        first, after = said.get("first"), said.get("after")
        path = said.get("path", "")
        return IoFault(
            access=Access(str(closed.of(said, "access"))),
            number=closed.whole(closed.of(said, "errno"), "errno", most=_MOST_ERRNO),
            path=path if isinstance(path, str) and len(path) <= _MOST_PATH else "",
            first=None if first is None else closed.whole(first, "first byte"),
            after=None if after is None else closed.whole(after, "byte after"),
        )
    except (Odd, ValueError):
        return None

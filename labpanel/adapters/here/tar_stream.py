"""Tar archives of a few known members, read and written one header at a time.

`tarfile` takes links, devices, sparse files and extended headers of any length into memory. Here a
member is a plain ustar header (pax(1), "ustar Interchange Format") of a regular file whose name is
the one that was asked for; everything else is refused.
"""

import tarfile
from collections.abc import Callable
from typing import Protocol

from labpanel.lib.panel_copy import NotACopy

_BLOCK = 512
_CHUNK = 1 << 20


class Reads(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Writes(Protocol):
    def write(self, data: bytes, /) -> object: ...


def write_header(target: Writes, name: str, size: int, moment: int) -> None:
    """The header of a member that only its owner may read; `moment` in seconds since 1970."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, moment
    target.write(info.tobuf(tarfile.USTAR_FORMAT))


def write_end(target: Writes) -> None:
    target.write(bytes(2 * _BLOCK))


def pad(target: Writes, size: int) -> None:
    """Fill the last block of a member of `size` bytes."""
    target.write(bytes(-size % _BLOCK))


def read_header(source: Reads) -> tuple[str, int] | None:
    """Name and size of the next member, None at the end. Raises NotACopy."""
    block = exactly(source, _BLOCK)
    if not any(block):
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeError) as error:
        raise NotACopy("This is not a copy of a panel: its archive is damaged.") from error
    if info.type != tarfile.REGTYPE or info.size < 0 or info.linkname:
        raise NotACopy("This is not a copy of a panel: its archive holds more than plain files.")
    return info.name, info.size


def exactly(source: Reads, size: int) -> bytes:
    """`size` bytes. Raises NotACopy if there are fewer."""
    found = b""
    while len(found) < size:
        piece = source.read(size - len(found))
        if not piece:
            raise NotACopy("This copy is incomplete: the file ends too early.")
        found += piece
    return found


def pour(source: Reads, size: int, take: Callable[[bytes], object]) -> None:
    """Give a member's `size` bytes to `take`, piece by piece, and skip its filling."""
    left = size
    while left:
        piece = exactly(source, min(left, _CHUNK))
        take(piece)
        left -= len(piece)
    exactly(source, -size % _BLOCK)

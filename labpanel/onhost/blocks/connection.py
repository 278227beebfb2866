"""One thread's way to the bytes of a virtual disk. Needs python3-libnbd.

Everything is read and written over NBD, except a raw image that no program has open: it is read as
the file that it is, since an NBD server takes as much CPU for copying it through a socket as
digesting it takes.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import nbd

from labpanel.onhost.blocks.blocks import Side
from labpanel.onhost.runtime.wire import Problem

_DEAD = {errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN}
_TRIED = {"read": "Reading", "write": "Writing"}


class IoFailed(Exception):
    """A read or a write that failed. `first` and `after` are the bytes that it was about. `gone`:
    the connection is lost, which says nothing about the disk."""

    def __init__(
        self, access: str, first: int, length: int, error: Exception, *, gone: bool = False
    ) -> None:
        super().__init__(str(error))
        self.access, self.first, self.after, self.gone = access, first, first + length, gone
        self.number = int(getattr(error, "errnum", None) or getattr(error, "errno", None) or 0)

    @property
    def code(self) -> str:
        """The word for the panel: "full", else what was tried."""
        return "full" if self.number == errno.ENOSPC else self.access

    @property
    def sentence(self) -> str:
        return f"{_TRIED[self.access]} at byte {self.first} failed: {self}"

    @property
    def io(self) -> "dict[str, Any] | None":
        """As labpanel/lib/io_fault.py reads it."""
        if self.gone:
            return None
        span = {"first": self.first, "after": self.after}
        return {"access": self.access, "errno": self.number, **span}

    def problem(self, code: str = "") -> Problem:
        """The answer to the panel, with `code` or the failure's own."""
        return Problem(code or self.code, self.sentence, self.io)


class Reader(Protocol):
    """One thread's way to read."""

    def read(self, length: int, start: int) -> memoryview:
        """These bytes of the disk, until the next call. Raises Failed."""

    def close(self) -> None:
        """No more is read."""


class NbdConnection:
    """An NBD connection. A failed read raises Failed, since more than one thing can be done then; a
    failed write Problem ("full" or "write"); `flush` nbd.Error."""

    def __init__(self, side: Side) -> None:
        self._handle = side.connect()
        self.size: int = self._handle.get_size()

    def read(self, length: int, start: int) -> memoryview:
        try:
            return memoryview(self._handle.pread(length, start))
        except nbd.Error as error:
            raise self._failed("read", start, length, error) from error

    def write(self, data: "bytes | memoryview", start: int) -> None:
        try:
            self._handle.pwrite(data, start)
        except nbd.Error as error:
            raise self._failed("write", start, len(data), error).problem() from error

    def zero(self, length: int, start: int, *, hide: bool = False) -> None:
        """Make these bytes zeros. `hide`: by zeros that are stored, since a hole would let what a
        parent image has there show through."""
        try:
            self._handle.zero(length, start, nbd.CMD_FLAG_NO_HOLE if hide else 0)
        except nbd.Error as error:
            raise self._failed("write", start, length, error).problem() from error

    def flush(self) -> None:
        self._handle.flush()

    def close(self) -> None:
        self._handle.shutdown()

    def _failed(self, access: str, start: int, length: int, error: nbd.Error) -> IoFailed:
        gone = self._handle.aio_is_dead() or self._handle.aio_is_closed() or error.errnum in _DEAD
        return IoFailed(access, start, length, error, gone=gone)


class RawFile:
    """A raw image, read into the same memory again and again. No lock is taken, as by the export:
    a VM that is started meanwhile wins, and the panel sees it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._buffer = memoryview(bytearray())

    def read(self, length: int, start: int) -> memoryview:
        if len(self._buffer) < length:
            self._buffer = memoryview(bytearray(length))
        wanted = self._buffer[:length]
        at = 0
        while at < length:
            try:
                got = os.preadv(self._handle, [wanted[at:]], start + at)
            except OSError as error:
                raise IoFailed("read", start + at, length - at, error) from error
            if not got:  # an export's size is that of the file in whole sectors
                wanted[at:] = bytes(length - at)
                break
            at += got
        return wanted

    def close(self) -> None:
        os.close(self._handle)


def reader(source: Side, file: str) -> Reader:
    """`file` is the raw image behind the export, or empty if it may not be read past it."""
    return RawFile(file) if file and Path(file).is_file() else NbdConnection(source)


@contextlib.contextmanager
def connected(what: str = "the disk") -> Iterator[None]:
    """An error of NBD that is not a failed read or write, as an answer to the panel."""
    try:
        yield
    except nbd.Error as error:
        raise Problem("nbd", f"The connection to {what} was lost: {error}") from error

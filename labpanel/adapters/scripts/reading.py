"""Ways to read a virtual disk on its host, each for one thread. Needs python3-libnbd.

A raw image that nobody has open is read as the file that it is: what an NBD server would take for
copying it through a socket is as much CPU as digesting it. Everything else is read by NBD.
"""

import errno
import os
from pathlib import Path
from typing import Protocol

import nbd

from labpanel.adapters.scripts.blocks import Side
from labpanel.adapters.scripts.wire import Problem

_DEAD = {errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN}


class Unreadable(Exception):
    """The disk has something there that cannot be read; what lies beside it may be."""


class Reader(Protocol):
    """One thread's way to read."""

    def read(self, length: int, start: int) -> memoryview:
        """These bytes of the disk, until the next call. Raises Unreadable, or Problem "nbd" if
        nothing can be read any more."""

    def close(self) -> None:
        """No more is read."""


def reader(source: Side, file: str) -> Reader:
    """`file` is the raw image behind the export, or empty if it may not be read past it."""
    return FromFile(file) if file and Path(file).is_file() else FromExport(source)


class FromExport:
    """Over an NBD connection of its own."""

    def __init__(self, source: Side) -> None:
        self._handle = source.connect()

    def read(self, length: int, start: int) -> memoryview:
        try:
            return memoryview(self._handle.pread(length, start))
        except nbd.Error as error:
            dead = self._handle.aio_is_dead() or self._handle.aio_is_closed()
            if dead or error.errnum in _DEAD:
                sentence = f"The connection to the disk broke at byte {start}: {error}"
                raise Problem("nbd", sentence) from error
            raise Unreadable(str(error)) from error

    def close(self) -> None:
        self._handle.shutdown()


class FromFile:
    """From a raw image, into the same memory again and again. No lock is taken, as by the export:
    a VM that is started meanwhile wins, and the panel sees it."""

    def __init__(self, path: str) -> None:
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
                raise Unreadable(str(error)) from error
            if not got:  # an export's size is that of the file in whole sectors
                wanted[at:] = bytes(length - at)
                break
            at += got
        return wanted

    def close(self) -> None:
        os.close(self._handle)

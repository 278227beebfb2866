"""A read-only NBD server on a unix socket, for content that this program makes or checks itself.

After the NBD project's doc/proto.md: fixed newstyle negotiation, simple and structured replies, the
context base:allocation. Options and commands that change anything are refused. Standard library
only.
"""

import contextlib
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

MOST_CONNECTIONS = 16
MOST_BYTES = 4 << 20  # of one read; clients are told so
_MOST_OPTION = 64 << 10
_AT_ONCE, _WAITING = 4, 64  # requests of one connection that are worked on, and that wait
_HOLE, _ZERO = 1, 2

_HELLO, _OPTION_MAGIC, _REPLY_MAGIC = b"NBDMAGIC", 0x49484156454F5054, 0x3E889045565A9
_REQUEST, _SIMPLE, _STRUCTURED = 0x25609513, 0x67446698, 0x668E33EF
_FLAGS = 1 | 2  # FIXED_NEWSTYLE, NO_ZEROES
_EXPORT_FLAGS = 1 | 2 | 4 | 256  # HAS_FLAGS, READ_ONLY, SEND_FLUSH, CAN_MULTI_CONN
_EXPORT_NAME, _ABORT, _INFO, _GO, _STRUCTURED_REPLY, _SET_META = 1, 2, 6, 7, 8, 10
_ACK, _REP_INFO, _REP_META = 1, 3, 4
_UNSUPPORTED, _INVALID, _UNKNOWN = (1 << 31) + 1, (1 << 31) + 3, (1 << 31) + 6
_READ, _DISCONNECT, _FLUSH, _BLOCK_STATUS = 0, 2, 3, 7
_DONE, _DATA, _GAP, _STATUS, _ERROR = 1, 1, 2, 5, 32769
_CONTEXT = b"base:allocation"


@dataclass(frozen=True)
class ServedExport:
    """What is served. `read` gives pieces (offset, length, bytes or None for zeros) that make up a
    range; `zeros` tells for a range how many bytes at its beginning are alike, and whether they
    are zeros. Both may raise OSError, which the client is told."""

    name: str
    size: int
    read: Callable[[int, int], Iterator[tuple[int, int, bytes | memoryview | None]]]
    zeros: Callable[[int, int], tuple[int, bool]]


class Server:
    """Listens until it is stopped; each client has threads of its own."""

    def __init__(self, path: Path, export: ServedExport) -> None:
        self._path, self._export = path, export
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._socket = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)
        self._socket.listen(MOST_CONNECTIONS)

    def start(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def stop(self) -> None:
        self._path.unlink(missing_ok=True)
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return  # it was stopped
            if not self._room.acquire(blocking=False):
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            # A client that leaves, or does not speak NBD, ends its own connection only.
            with client, contextlib.suppress(OSError, EOFError, ValueError, struct.error):
                _Client(client, self._export).serve()
        finally:
            self._room.release()


@dataclass
class _Client:
    """One connection."""

    socket: socket.socket
    export: ServedExport
    structured: bool = False
    context: bool = False
    writing: threading.Lock = field(default_factory=threading.Lock)
    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_WAITING))

    def serve(self) -> None:
        self.socket.sendall(_HELLO + struct.pack(">QH", _OPTION_MAGIC, _FLAGS))
        (flags,) = struct.unpack(">I", self._take(4))
        if self._negotiate(no_zeroes=bool(flags & 2)):
            self._transmit()

    def _negotiate(self, *, no_zeroes: bool) -> bool:
        """Whether a transmission follows."""
        while True:
            magic, option, length = struct.unpack(">QII", self._take(16))
            if magic != _OPTION_MAGIC or length > _MOST_OPTION:
                return False
            data = self._take(length)
            if option == _EXPORT_NAME:
                if data.decode() != self.export.name:
                    return False
                about = struct.pack(">QH", self.export.size, _EXPORT_FLAGS)
                self.socket.sendall(about + (b"" if no_zeroes else bytes(124)))
                return True
            if option == _ABORT:
                self._reply(option, _ACK)
                return False
            if self._option(option, data):
                return True

    def _option(self, option: int, data: bytes) -> bool:
        """Whether it was the last one."""
        if option == _STRUCTURED_REPLY and not data:
            self.structured = True
            self._reply(option, _ACK)
        elif option in {_INFO, _GO}:
            return self._about(option, data) and option == _GO
        elif option == _SET_META:
            self._set_meta(option, data)
        else:
            self._reply(option, _UNSUPPORTED)
        return False

    def _about(self, option: int, data: bytes) -> bool:
        (length,) = struct.unpack_from(">I", data)
        if data[4 : 4 + length].decode() != self.export.name:
            self._reply(option, _UNKNOWN)
            return False
        self._reply(option, _REP_INFO, struct.pack(">HQH", 0, self.export.size, _EXPORT_FLAGS))
        self._reply(option, _REP_INFO, struct.pack(">HIII", 3, 1, 4096, MOST_BYTES))
        self._reply(option, _ACK)
        return True

    def _set_meta(self, option: int, data: bytes) -> None:
        (length,) = struct.unpack_from(">I", data)
        at = 4 + length
        (count,) = struct.unpack_from(">I", data, at)
        at += 4
        if not self.structured or count > 64:
            self._reply(option, _INVALID)
            return
        asked = set()
        for _ in range(count):
            (length,) = struct.unpack_from(">I", data, at)
            asked.add(data[at + 4 : at + 4 + length])
            at += 4 + length
        self.context = _CONTEXT in asked
        if self.context:
            self._reply(option, _REP_META, struct.pack(">I", 0) + _CONTEXT)
        self._reply(option, _ACK)

    def _reply(self, option: int, kind: int, data: bytes = b"") -> None:
        head = struct.pack(">QIII", _REPLY_MAGIC, option, kind, len(data))
        self.socket.sendall(head + data)

    def _transmit(self) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while True:
                magic, flags, kind, handle, at, length = struct.unpack(">IHHQQI", self._take(28))
                if magic != _REQUEST or kind == _DISCONNECT:
                    return
                self.room.acquire()
                pool.submit(self._answer, kind, flags, handle, at, length)

    def _answer(self, kind: int, flags: int, handle: int, at: int, length: int) -> None:
        try:
            self._work(kind, flags, handle, at, length)
        except OSError as error:
            with contextlib.suppress(OSError):  # the client is gone
                self._fail(handle, error.errno or errno.EIO)
        finally:
            self.room.release()

    def _work(self, kind: int, flags: int, handle: int, at: int, length: int) -> None:
        inside = length > 0 and at + length <= self.export.size
        if kind == _FLUSH:
            self._send(handle, b"")
        elif kind == _READ and inside and length <= MOST_BYTES:
            self._read(handle, at, length)
        elif kind == _BLOCK_STATUS and inside and self.context:
            one = bool(flags & 8)  # NBD_CMD_FLAG_REQ_ONE
            self._status(handle, at, length, one=one)
        else:
            raise OSError(errno.EINVAL, "")

    def _read(self, handle: int, at: int, length: int) -> None:
        # All pieces are known to be good before the first one is handed out.
        pieces = list(self.export.read(at, length))
        if not self.structured:
            whole = b"".join(bytes(size) if one is None else one for _, size, one in pieces)
            self._send(handle, whole)
            return
        for number, (start, size, data) in enumerate(pieces):
            done = _DONE if number == len(pieces) - 1 else 0
            if data is None:
                self._chunk(handle, done, _GAP, struct.pack(">QI", start, size))
            else:
                self._chunk(handle, done, _DATA, struct.pack(">Q", start), data)

    def _status(self, handle: int, at: int, length: int, *, one: bool) -> None:
        found, end = struct.pack(">I", 0), at + length
        while at < end:
            alike, zeros = self.export.zeros(at, end - at)
            found += struct.pack(">II", alike, _HOLE | _ZERO if zeros else 0)
            at += alike
            if one or len(found) > MOST_BYTES // 1024:
                break
        self._chunk(handle, _DONE, _STATUS, found)

    def _fail(self, handle: int, number: int) -> None:
        if self.structured:
            self._chunk(handle, _DONE, _ERROR, struct.pack(">IH", number, 0))
        else:
            with self.writing:
                self.socket.sendall(struct.pack(">IIQ", _SIMPLE, number, handle))

    def _send(self, handle: int, data: bytes) -> None:
        if self.structured and not data:
            self._chunk(handle, _DONE, 0, b"")
            return
        with self.writing:
            self.socket.sendall(struct.pack(">IIQ", _SIMPLE, 0, handle) + data)

    def _chunk(
        self, handle: int, flags: int, kind: int, head: bytes, data: bytes | memoryview = b""
    ) -> None:
        length = len(head) + len(data)
        about = struct.pack(">IHHQI", _STRUCTURED, flags, kind, handle, length)
        with self.writing:
            self.socket.sendall(about + head)
            self.socket.sendall(data)

    def _take(self, length: int) -> bytes:
        found = bytearray()
        while len(found) < length:
            piece = self.socket.recv(length - len(found))
            if not piece:
                raise EOFError
            found += piece
        return bytes(found)

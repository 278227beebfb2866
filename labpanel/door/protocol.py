"""uvicorn's HTTP/1.1 connection with an end to everything: heads, pauses, and slow readers.

uvicorn itself counts connections but waits for heads without end and lets a head grow without
end (its httptools protocol has no limits; the limits of others are in front of a proxy).
"""

import asyncio
import http
import socket
import time
from collections.abc import Sequence
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from labpanel.door import limits
from labpanel.door.connections import Connections
from labpanel.lib import client_address
from labpanel.lib.client_address import IPNetwork

FULL = "The panel is answering as many requests as it can. Try again in a moment."
HEAD_TOO_LARGE = "The request's address and headers are too large."


class _HeadTooLarge(Exception):
    """Ends the parser's work; the answer is written by send_400_response."""


class DoorProtocol(HttpToolsProtocol):
    """One connection. States: waits for a head, reads a body (both may give way), in use."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        open_connections: Connections,
        proxies: Sequence[IPNetwork],
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.open_connections = open_connections
        self.proxies = proxies
        self.group = ""
        self.trusted = False
        self.waiting_since: float | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._head_bytes = self._wire_bytes = 0
        self._in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = client_address.parse(self.client[0] if self.client else "")
        self.group = address.group
        self.trusted = client_address.is_among(address, self.proxies)
        self._forget_lost_clients()
        self.waiting_since = time.monotonic()
        if not self.open_connections.admit(self):
            self._refuse(503, FULL)
            return
        self._begin("head", limits.HEAD_SECONDS, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open_connections.leave(self)
        for name in list(self._timers):
            self._end(name)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def give_way(self) -> None:
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._end("flush")
        self._wire_bytes += len(data)
        if self.waiting_since is not None and "head" not in self._timers and not self._working():
            self._begin("head", limits.HEAD_SECONDS, self._head_is_late)
        super().data_received(data)
        if self._in_head and self._wire_bytes > limits.HEAD_BYTES:
            self._refuse(431, HEAD_TOO_LARGE)
        elif self._wire_bytes > limits.WIRE_BYTES:
            self.give_way()

    def _working(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        return cycle is not None and not cycle.response_complete

    # Called by the parser

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count_head(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(name, value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._end("head")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.waiting_since = None
        self._wire_bytes = 0
        super().on_message_complete()

    def _count_head(self, *parts: bytes) -> None:
        self._head_bytes += sum(map(len, parts))
        if self._head_bytes > limits.HEAD_BYTES or len(self.headers) > limits.MOST_HEADERS:
            raise _HeadTooLarge

    def send_400_response(self, msg: str) -> None:
        if self._head_bytes > limits.HEAD_BYTES or len(self.headers or ()) > limits.MOST_HEADERS:
            self._refuse(431, HEAD_TOO_LARGE)
            return
        super().send_400_response(msg)

    # Called when an answer is complete, and by the transport

    def on_response_complete(self) -> None:
        if self.transport.get_write_buffer_size():
            self._begin("flush", limits.WRITE_SECONDS, self.give_way)
        super().on_response_complete()
        if not self._working():
            self.waiting_since = time.monotonic()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._begin("write", limits.WRITE_SECONDS, self.give_way)

    def resume_writing(self) -> None:
        self._end("write")
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def _head_is_late(self) -> None:
        if self._in_head:
            self._refuse(408, "The request did not arrive in time.")
        else:
            self._close()

    def _refuse(self, status: int, sentence: str) -> None:
        """An answer without a request to answer: the connection ends with it."""
        if self.transport.is_closing():
            return
        body = sentence.encode("ascii")
        head = (
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
            "content-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self._close()

    def _close(self) -> None:
        """Close, and do not wait for ever until the client took what is written."""
        self.transport.close()
        self._begin("close", limits.LINGER_SECONDS, self.give_way)

    def _begin(self, name: str, seconds: float, then: Any) -> None:
        self._end(name)
        self._timers[name] = self.loop.call_later(seconds, then)

    def _end(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _forget_lost_clients(self) -> None:
        """A phone that lost its network says nothing: end after this time without an answer.

        The kernel's own patience is a quarter of an hour (tcp(7), tcp_retries2).
        """
        there = self.transport.get_extra_info("socket")
        if there is not None and there.family in {socket.AF_INET, socket.AF_INET6}:
            milliseconds = int(limits.WRITE_SECONDS * 1000)
            there.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

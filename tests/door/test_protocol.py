"""Connections over real sockets: heads that do not end, readers that do not read."""

import argparse
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from labpanel.door import limits
from labpanel.door.__main__ import configured

HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with as many bytes as the path says."""
    size = int(scope["path"].strip("/") or 4)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(size >> 16):
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    await send({"type": "http.response.body", "body": b"x" * (size % 65536)})


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server whose patience is short; what it is to serve is the one above."""
    for name in ("HEAD_SECONDS", "IDLE_SECONDS", "WRITE_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(limits, name, 1.0)
    monkeypatch.setattr(limits, "CONNECTIONS_FOR_ONE", 4)
    options = argparse.Namespace(host="127.0.0.1", port=0, log_level="warning")
    config = configured(options, 1024)
    config.app = application
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)


@contextlib.contextmanager
def connected(port: int, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 20, (source, 0)) as connection:
        yield connection


def all_of(connection: socket.socket) -> bytes:
    """What the server says until it ends the connection, in whichever way."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            said += data
    return said


def test_it_answers_and_keeps_the_connection(door: int) -> None:
    with connected(door) as connection:
        for _ in range(3):
            connection.sendall(HEAD + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert b"HTTP/1.1" not in all_of(connection)  # it ends when nothing more comes


def test_a_silent_connection_is_ended(door: int) -> None:
    with connected(door) as connection:
        assert all_of(connection) == b""


def test_a_slow_head_is_ended_though_bytes_keep_coming(door: int) -> None:
    with connected(door) as connection:
        connection.sendall(HEAD)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100):
                connection.sendall(b"X: y\r\n")
                time.sleep(0.05)
        assert b" 200 " not in all_of(connection)
    assert_answers(door)


def test_a_slow_second_head_too(door: int) -> None:
    with connected(door) as connection:
        connection.sendall(HEAD + b"\r\n" + HEAD)
        assert all_of(connection).startswith(b"HTTP/1.1 200")
    assert_answers(door)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 40_000,
        HEAD + b"X: " + b"y" * 40_000 + b"\r\n\r\n",
        HEAD + b"X: " + b"y" * 40_000,
        HEAD + b"X: y\r\n" * 200 + b"\r\n",
        HEAD + b"".join(b"X%d: %s\r\n" % (n, b"y" * 500) for n in range(80)) + b"\r\n",
    ],
)
def test_a_head_has_an_end(door: int, head: bytes) -> None:
    with connected(door) as connection:
        connection.sendall(head)
        assert all_of(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "wrong",
    [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"],
)
def test_what_is_no_request_is_a_400(door: int, wrong: bytes) -> None:
    with connected(door) as connection:
        connection.sendall(wrong)
        assert all_of(connection).startswith(b"HTTP/1.1 400 ")


def test_trailers_without_end_are_cut_off(door: int) -> None:
    """They belong to the body; the parser gathers a header's value however long it is."""
    with connected(door) as connection:
        begin = (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: "
        )
        connection.sendall(begin)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                connection.sendall(b"y" * 65536)


def test_one_that_does_not_read_is_ended(door: int) -> None:
    with connected(door) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(3)
        assert len(all_of(connection)) < 100_000_000


def test_an_address_with_too_many_loses_its_oldest(door: int) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connected(door, "127.0.0.9")) for _ in range(6)]
        assert_answers(door, "127.0.0.9")
        assert all_of(held[0]) == b""
    assert_answers(door)


def assert_answers(port: int, source: str = "127.0.0.1") -> None:
    with connected(port, source) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")

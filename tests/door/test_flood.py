"""The web process under a flood, with the 1 024 open files of systemd's soft limit and no more."""

import contextlib
import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Server, made_ground, served

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with made_ground(tmp_path_factory.mktemp("e")) as ground, served(ground, 1024) as running:
        yield running


def health(server: Server, source: str) -> int:
    connection = http.client.HTTPConnection(
        "127.0.0.1", server.port, timeout=20, source_address=(source, 0)
    )
    with contextlib.closing(connection):
        connection.request("GET", "/healthz")
        return connection.getresponse().status


@pytest.mark.parametrize("addresses", [1, 20])
def test_1100_silent_connections_keep_nobody_out(server: Server, addresses: int) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(1100):
            source = (f"127.0.9.{1 + number % addresses}", 0)
            there = ("127.0.0.1", server.port)
            stack.enter_context(socket.create_connection(there, 20, source))
        assert health(server, "127.0.0.1") == 200
        assert health(server, "127.0.9.1") == 200
        assert len(list(Path(f"/proc/{server.web.pid}/fd").iterdir())) < 700


def test_half_sent_requests_keep_nobody_out(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(400):
            source = (f"127.0.9.{1 + number % 20}", 0)
            there = ("127.0.0.1", server.port)
            connection = stack.enter_context(socket.create_connection(there, 20, source))
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        assert health(server, "127.0.0.1") == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_600_mib_are_neither_taken_nor_spooled(server: Server, chunked: bool) -> None:
    """Most of it cannot be sent at all: the connection ends long before."""
    kind = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (600 * MIB)
    block = b"10000\r\n" + b"x" * 65536 + b"\r\n" if chunked else b"x" * 65536
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\n" + kind + b"\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 600 * MIB:
                connection.sendall(block)
                sent += 65536
                assert spooled(server.web.pid) == []
    assert sent < 64 * MIB
    assert health(server, "127.0.0.1") == 200


def spooled(pid: int) -> list[str]:
    """Files without a name that the process writes into, as tempfile makes them."""
    found = []
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            name = str(handle.readlink())
            if name.endswith(" (deleted)"):
                found.append(name)
    return found


def test_another_name_is_refused(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/sign-in/", headers={"Host": "evil.example"})
        answer = connection.getresponse()
        assert answer.status == 400
        assert b"LABPANEL_ALLOWED_HOSTS" in answer.read()


def test_requests_are_not_logged(server: Server) -> None:
    assert health(server, "127.0.0.1") == 200
    assert "GET /healthz" not in server.log.read_text()


def test_too_few_files_are_said(tmp_path: Path) -> None:
    """Before anything is opened, with what to do."""
    words = ["prlimit", "--nofile=256:256", sys.executable, "-m", "labpanel.door"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The web process may open 256 files and needs 784: raise")

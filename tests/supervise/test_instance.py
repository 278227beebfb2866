"""Whose web process answers: a panel never takes another one for its own."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from labpanel.adapters.here import port_user
from labpanel.lib import instance
from labpanel.supervise import health, run
from labpanel.supervise.listen import Listen
from tests.supervise.test_child import gone

REPOSITORY = Path(__file__).resolve().parent.parent.parent
OTHERS = {
    "another panel": json.dumps({"database": "ok", "instance": instance.digest("theirs")}),
    "an older panel": json.dumps({"database": "ok", "redis": "ok", "disk": "ok"}),
    "a web server": "<h1>It works!</h1>",
    "a list": "[]",
}


@contextmanager
def answering(content: str) -> Iterator[int]:
    """A program that answers every address with 200 and `content`; its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, format: str, *values: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def announced(port: int, token: str) -> tuple[bool, bool, list[str]]:
    """What `announce` returns, whether it stops the start, and whether it called us ready."""
    stop, ready = asyncio.Event(), []
    door = run.WebAddress(Listen("127.0.0.1", port), token)
    done = await run.announce(door, lambda: ready.append("ready"), stop)
    return done, stop.is_set(), ready


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_what_is_not_ours_is_not_announced(content: str, caplog: pytest.LogCaptureFixture) -> None:
    with answering(content) as port, ThreadPoolExecutor(1) as aside:
        assert not health.answers(f"http://127.0.0.1:{port}", "ours")
        assert aside.submit(asyncio.run, announced(port, "ours")).result() == (False, True, [])
    assert f"port {port} on 127.0.0.1 is used by" in caplog.text


def test_ours_is() -> None:
    said = json.dumps({"instance": instance.digest("ours")})
    with answering(said) as port, ThreadPoolExecutor(1) as aside:
        assert "ours" not in said
        assert aside.submit(asyncio.run, announced(port, "ours")).result() == (
            True,
            False,
            ["ready"],
        )


@pytest.mark.parametrize(
    ("family", "listens", "asked"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1"),  # noqa: S104 - closed at once
        (socket.AF_INET, "127.0.0.1", "0.0.0.0"),  # noqa: S104 - only asked for
        (socket.AF_INET, "127.0.0.1", "localhost"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
)
def test_who_uses_a_port(family: int, listens: str, asked: str) -> None:
    with socket.socket(family) as one:
        one.bind((listens, 0))
        port = one.getsockname()[1]
        assert port_user.used_by(asked, port) == ""
        one.listen()
        said = port_user.used_by(asked, port)
    assert said.startswith(f"port {port} on {asked} is used by ")
    assert '"' in said and "(process " in said


def test_another_address_is_no_use() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.2", 0))
        one.listen()
        assert port_user.used_by("127.0.0.3", one.getsockname()[1]) == ""


def test_a_panel_is_named_by_its_home(tmp_path: Path) -> None:
    listen = "import socket,sys;s=socket.create_server(('127.0.0.1',0));print(s.getsockname()[1]);"
    words = [sys.executable, "-c", f"{listen}sys.stdout.flush();sys.stdin.read()", "labpanel.door"]
    with subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"LABPANEL_HOME": str(tmp_path)},
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        port = int(other.stdout.readline())
        said = Listen("127.0.0.1", port).taken()
        other.stdin.close()
    assert f"is used by the panel of {tmp_path} (process {other.pid})" in said
    assert "LABPANEL_LISTEN" in said
    assert gone(other.pid)


def test_a_web_process_that_cannot_listen_says_who_does(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "labpanel.door", "--port", str(port)],
            cwd=REPOSITORY,
            env={"PATH": "/usr/bin:/bin", "LABPANEL_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert f"The web process cannot listen: port {port} on 127.0.0.1 is used by" in done.stderr


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])  # noqa: S104 - only read
def test_the_address_for_others_is_not_loopback(everywhere: str) -> None:
    """In a process of its own: tests may not even ask the routing table for a way out."""
    code = f"from labpanel.supervise.listen import Listen; print(Listen({everywhere!r}, 80).public)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    host = urlsplit(done.stdout.strip()).hostname
    assert host not in {None, "0.0.0.0", "::", "::1", "localhost"}  # noqa: S104
    assert not str(host).startswith("127.")


def test_a_named_address_stays() -> None:
    for address in ("127.0.0.1", "192.0.2.7"):
        assert Listen(address, 8000).public == Listen(address, 8000).url
    assert Listen("0.0.0.0", 80).url == "http://127.0.0.1:80"  # noqa: S104 - only read

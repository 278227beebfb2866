"""The event stream: only for who is signed in, few messages for many changes, a clean end."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from django.test import Client

from labpanel.adapters.bus import CHANNEL
from labpanel.live import events
from labpanel.live.coalesce import Coalescer
from labpanel.supervise.services import redis_program

COOKIE = "labpanel_session"


class TestCoalescer:
    """Time is told, never waited for."""

    def test_the_first_change_goes_out_at_once(self) -> None:
        waiting = Coalescer()
        waiting.add("samples", 10.0)
        assert waiting.due(10.0) == ["samples"]
        assert waiting.wait(10.0) is None

    def test_many_within_a_second_become_one(self) -> None:
        waiting = Coalescer()
        told = []
        for hundredth in range(300):
            now = hundredth / 100
            waiting.add("samples", now)
            told += waiting.due(now)
        assert len(told) == 3

    def test_the_last_change_is_never_lost(self) -> None:
        waiting = Coalescer()
        waiting.add("samples", 0.0)
        waiting.due(0.0)
        waiting.add("samples", 0.2)
        assert waiting.due(0.9) == []
        assert waiting.wait(0.9) == pytest.approx(0.1)
        assert waiting.due(1.0) == ["samples"]

    def test_topics_do_not_wait_for_each_other(self) -> None:
        waiting = Coalescer()
        waiting.add("samples", 0.0)
        waiting.due(0.0)
        waiting.add("health", 0.1)
        assert waiting.due(0.1) == ["health"]


@pytest.mark.django_db
def test_nobody_else_gets_a_stream(client: Client) -> None:
    answer = client.get("/events")
    assert (answer.status_code, answer.streaming) == (401, False)


@pytest.mark.django_db
def test_one_stream_too_many_is_refused(signed_in: Client) -> None:
    key = signed_in.session.session_key
    assert key
    events._open[key] = events.STREAMS_FOR_A_SESSION
    try:
        assert signed_in.get("/events").status_code == 429
    finally:
        del events._open[key]


@pytest.mark.django_db
def test_only_get(signed_in: Client) -> None:
    assert signed_in.post("/events").status_code == 405


@pytest.mark.django_db
def test_healthz_without_redis_is_503(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path / 'none.sock'}"
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"database": "ok", "redis": "does not answer"}


@dataclass
class Server:
    """A web process of its own with a redis of its own; `key` is a session that is signed in."""

    web: subprocess.Popen[bytes]
    port: int
    key: str
    broker: Any
    log: Path

    def get(self, path: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers={"Cookie": f"{COOKIE}={self.key}"})
        return connection.getresponse()


SIGN_IN = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
user = User.objects.create_user("olga")
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print(session.session_key)
"""


def manage(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A home with tables, and a redis."""
    if not (shutil.which("redis-server") or shutil.which("redis-check-rdb")):
        pytest.skip("not installed here: redis-server")
    home = tmp_path_factory.mktemp("e")
    environment = {
        **os.environ,
        "LABPANEL_HOME": str(home),
        "DATABASE_URL": f"sqlite:///{home / 'db.sqlite3'}",
        "REDIS_URL": f"unix://{home / 'r.sock'}",
        "DJANGO_SETTINGS_MODULE": "labpanel.settings",
    }
    words = ["--port", "0", "--unixsocket", str(home / "r.sock"), "--save", "", "--dir", str(home)]
    broker = subprocess.Popen([redis_program(home), *words], stdout=subprocess.DEVNULL)
    try:
        manage(environment, "migrate", "-v", "0")
        environment["KEY"] = manage(environment, "shell", "-v", "0", "-c", SIGN_IN)
        yield environment
    finally:
        stop(broker)
        runtime = manage(
            environment, "shell", "-v", "0", "-c", "from labpanel import env; print(env.runtime())"
        )
        shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def server(ground: dict[str, str]) -> Iterator[Server]:
    port = free_port()
    home = Path(ground["LABPANEL_HOME"])
    log = home / f"web-{port}.log"
    words = ["labpanel.asgi:application", "--port", str(port), "--timeout-graceful-shutdown", "3"]
    with log.open("wb") as output:
        web = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", *words, "--lifespan", "off"],
            env=ground,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        broker = redis.Redis(unix_socket_path=str(home / "r.sock"))
        running = Server(web, port, ground["KEY"], broker, log)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if running.get("/healthz").status == 200:
                    break
            assert web.poll() is None, log.read_text()
            time.sleep(0.1)
        yield running
        broker.close()
    finally:
        stop(web)


def lines(stream: http.client.HTTPResponse, enough: Callable[[list[str]], bool]) -> list[str]:
    """Lines of the stream until there are enough, or it ends."""
    read: list[str] = []
    while not enough(read):
        line = stream.readline()
        if not line:
            break
        read.append(line.decode().rstrip("\n"))
    return read


def test_topics_arrive_and_the_stream_ends_with_the_server(server: Server) -> None:
    stream = server.get("/events")
    assert (stream.status, stream.getheader("Content-Type")) == (200, "text/event-stream")
    assert lines(stream, lambda read: "data: hello" in read)[0] == "retry: 3000"
    for _ in range(100):
        server.broker.publish(CHANNEL, "samples")
    server.broker.publish(CHANNEL, "job:7\nevent: forged")
    read = lines(stream, lambda read: any(line.startswith("data: job:7") for line in read))
    assert read.count("event: samples") <= 2
    assert "event: forged" not in read
    assert "event: job:7 event: forged" in read
    server.web.send_signal(signal.SIGTERM)
    lines(stream, lambda _: False)  # ends by itself: nothing is left to read
    assert server.web.wait(20) == -signal.SIGTERM or server.web.returncode == 0
    assert "timeout graceful shutdown exceeded" not in server.log.read_text()


def test_a_reader_that_leaves_leaves_nothing_behind(server: Server) -> None:
    streams = [server.get("/events") for _ in range(events.STREAMS_FOR_A_SESSION)]
    for stream in streams:
        lines(stream, lambda read: "data: hello" in read)
    assert server.broker.pubsub_numsub(CHANNEL)[0][1] == len(streams)
    assert server.get("/events").status == 429
    for stream in streams:
        stream.close()
    until = time.monotonic() + 20
    while server.broker.pubsub_numsub(CHANNEL)[0][1] and time.monotonic() < until:
        time.sleep(0.1)
    assert server.broker.pubsub_numsub(CHANNEL)[0][1] == 0
    assert server.get("/events").status == 200

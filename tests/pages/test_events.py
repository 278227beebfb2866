"""The event stream: only for who is signed in, few messages for many changes, a clean end."""

import contextlib
import http.client
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from labpanel.adapters.redis.bus import CHANNEL
from labpanel.live import events
from labpanel.live.coalesce import Coalescer
from tests.served import COOKIE, SIGN_IN, Server, made_ground, manage, served


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with made_ground(tmp_path_factory.mktemp("e")) as made:
        yield made


@pytest.fixture(scope="module")
def server(ground: dict[str, str]) -> Iterator[Server]:
    with served(ground) as running:
        yield running


@pytest.fixture
def fresh(ground: dict[str, str]) -> Iterator[Server]:
    """One that may be stopped."""
    with served(ground) as running:
        yield running


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


@pytest.mark.sqlite  # closing a stream closes the test's own connection
@pytest.mark.django_db
def test_one_stream_too_many_is_refused(signed_in: Client) -> None:
    key = signed_in.session.session_key
    assert key
    held = [events.Stream(signed_in.session, key) for _ in range(events.STREAMS_FOR_A_SESSION)]
    assert signed_in.get("/events").status_code == 429
    held.pop()  # never read and never closed: gone with its last reference
    answer = signed_in.get("/events")
    assert answer.status_code == 200
    answer.close()
    answer.close()
    assert signed_in.get("/events").status_code == 200


@pytest.mark.django_db
def test_only_get(signed_in: Client) -> None:
    assert signed_in.post("/events").status_code == 405


@pytest.mark.django_db
def test_healthz_without_redis_is_503(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path / 'none.sock'}"
    answer = client.get("/healthz")
    assert answer.status_code == 503
    told = answer.json()
    assert told.pop("free_bytes") > 0
    whose = {"instance": ""}  # no supervisor started it
    assert told == {"database": "ok", "redis": "does not answer", "disk": "ok", **whose}


def lines(stream: http.client.HTTPResponse, enough: Callable[[list[str]], bool]) -> list[str]:
    """Lines of the stream until there are enough, or it ends."""
    read: list[str] = []
    while not enough(read):
        line = stream.readline()
        if not line:
            break
        read.append(line.decode().rstrip("\n"))
    return read


def test_topics_arrive_and_the_stream_ends_with_the_server(fresh: Server) -> None:
    stream = fresh.get("/events")
    assert (stream.status, stream.getheader("Content-Type")) == (200, "text/event-stream")
    assert lines(stream, lambda read: "data: hello" in read)[0] == "retry: 3000"
    for _ in range(100):
        fresh.broker.publish(CHANNEL, "samples")
    fresh.broker.publish(CHANNEL, "job:7\nevent: forged")
    read = lines(stream, lambda read: any(line.startswith("data: job:7") for line in read))
    assert read.count("event: samples") <= 2
    assert "event: forged" not in read
    assert "event: job:7 event: forged" in read
    fresh.web.send_signal(signal.SIGTERM)
    lines(stream, lambda _: False)  # ends: nothing is left to read
    assert fresh.web.wait(20) == -signal.SIGTERM or fresh.web.returncode == 0
    assert "timeout graceful shutdown exceeded" not in fresh.log.read_text()


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


def test_eight_at_once_are_five(server: Server, ground: dict[str, str]) -> None:
    """Sent before any is answered: look and count are one step."""
    key = manage(ground, "shell", "-v", "0", "-c", SIGN_IN)  # counted apart from the tests before
    head = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {COOKIE}={key}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
            for _ in range(8)
        ]
        for each in streams:
            each.sendall(head.encode())
        answers = sorted(each.recv(12) for each in streams)
    assert answers == [b"HTTP/1.1 200"] * 5 + [b"HTTP/1.1 429"] * 3
    until = time.monotonic() + 20
    mine = replace(server, key=key)
    while (again := mine.get("/events")).status == 429 and time.monotonic() < until:
        time.sleep(0.1)
    assert again.status == 200


def test_the_stream_of_a_session_that_was_ended_ends(
    server: Server, ground: dict[str, str]
) -> None:
    key = manage(ground, "shell", "-v", "0", "-c", SIGN_IN)
    stream = replace(server, key=key).get("/events")
    lines(stream, lambda read: "data: hello" in read)
    end = (
        f"from labpanel.accounts.session_store import SessionStore; SessionStore().delete({key!r})"
    )
    manage(ground, "shell", "-v", "0", "-c", end)
    lines(stream, lambda _: False)  # ends: nothing is left to read
    assert replace(server, key=key).get("/events").status == 401
    assert server.get("/healthz").status == 200

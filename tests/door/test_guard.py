"""What the guard lets in: called as an ASGI server calls it, and counting what it takes in."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from typing import Any

import pytest

from labpanel.door import limits
from labpanel.door.guard import Guard
from labpanel.door.names import served

MIB = 1 << 20


class Exchange:
    """One request to a guarded application that answers with what it was given."""

    def __init__(self, chunks: list[bytes] | None = None, *, endless: bool = False) -> None:
        self.chunks = [b""] if chunks is None else chunks
        self.endless = endless
        self.taken = 0
        self.seen: dict[str, Any] | None = None
        self.body = b""
        self.sent: list[Any] = []

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen = scope
        message = await receive()
        assert not message["more_body"]
        self.body = message["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        if self.chunks:
            chunk = self.chunks.pop(0)
            self.taken += len(chunk)
            return {
                "type": "http.request",
                "body": chunk,
                "more_body": bool(self.chunks) or self.endless,
            }
        if self.endless:
            await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def text(self) -> str:
        return b"".join(each.get("body", b"") for each in self.sent[1:]).decode()


def scope(
    client: str = "192.0.2.7", path: str = "/", method: str = "POST", **headers: str
) -> dict[str, Any]:
    given = {"host": "127.0.0.1", **{k.replace("_", "-"): v for k, v in headers.items()}}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    about = {"type": "http", "method": method, "path": path, "scheme": "http"}
    return {**about, "client": (client, 4711), "headers": raw}


def guard(exchange: Exchange) -> Guard:
    proxies = (ip_network("127.0.0.1"),)
    return Guard(exchange.application, proxies=proxies, names=served([], ""))


def do(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: the browser tests leave an event loop running in the main one."""
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, work).result()


def ask(exchange: Exchange, **about: str) -> Exchange:
    do(guard(exchange)(scope(**about), exchange.receive, exchange.send))
    return exchange


def test_a_small_body_arrives_whole() -> None:
    asked = ask(Exchange([b"a" * 1000, b"b" * 1000]))
    assert (asked.status, asked.body) == (200, b"a" * 1000 + b"b" * 1000)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "\x1b[2J"])
def test_a_method_that_nothing_here_takes(method: str) -> None:
    asked = ask(Exchange(), method=method)
    assert (asked.status, asked.seen) == (405, None)
    assert "\x1b" not in asked.text


def test_600_mib_by_its_length_are_refused_unread() -> None:
    asked = ask(Exchange([b"x" * 65536] * 20), content_length=str(600 * MIB))
    assert (asked.status, asked.seen) == (413, None)
    assert "larger than 1 MiB" in asked.text


def test_600_mib_in_chunks_end_after_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labpanel.door.guard.drain", _do_not_drain)
    asked = ask(Exchange([b"x" * 65536] * 9600))
    assert (asked.status, asked.seen) == (413, None)
    assert asked.taken <= MIB + 65536


async def _do_not_drain(receive: Any) -> None:
    """So that what was taken in before the refusal can be counted."""


@pytest.mark.parametrize("length", ["9" * 400, "-1", "1e9", "１"])
def test_an_odd_length_does_not_break(length: str) -> None:
    headers = [(b"host", b"127.0.0.1"), (b"content-length", length.encode())]
    exchange = Exchange([b"x"])
    do(guard(exchange)({**scope(), "headers": headers}, exchange.receive, exchange.send))
    assert exchange.status in {200, 413}


def test_a_body_that_never_ends_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(limits, "LINGER_SECONDS", 0.05)
    asked = ask(Exchange([b"x"], endless=True))
    assert (asked.status, asked.seen) == (408, None)


def test_a_client_that_leaves_in_the_middle_starts_nothing() -> None:
    exchange = Exchange([])
    assert ask(exchange).sent == []
    assert exchange.seen is None


def test_large_bodies_are_held_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(limits, "LINGER_SECONDS", 0.01)
    large = [Exchange([b"x" * 100_000], endless=True) for _ in range(limits.LARGE_BODIES + 3)]
    small = Exchange([b"x" * 1000])
    shared = guard(large[0])

    async def all_at_once() -> None:
        calls = [
            shared(scope(f"192.0.2.{number}"), each.receive, each.send)
            for number, each in enumerate(large, 1)
        ]
        shared.application = small.application
        await asyncio.gather(*calls, shared(scope(), small.receive, small.send))

    do(all_at_once())
    assert sorted(each.status for each in large) == [408] * limits.LARGE_BODIES + [503] * 3
    assert small.status == 200


def test_large_bodies_of_one_address_leave_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where one has a whole /64 of addresses."""
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(limits, "LINGER_SECONDS", 0.01)
    large = [Exchange([b"x" * 100_000], endless=True) for _ in range(limits.LARGE_BODIES)]
    other = Exchange([b"x" * 100_000])
    shared = guard(other)

    async def all_at_once() -> None:
        calls = [
            asyncio.ensure_future(shared(scope(f"2001:db8::{n:x}"), each.receive, each.send))
            for n, each in enumerate(large)
        ]
        await asyncio.sleep(0.05)
        await shared(scope(), other.receive, other.send)
        await asyncio.gather(*calls)

    do(all_at_once())
    refused = limits.LARGE_BODIES - limits.LARGE_BODIES_FOR_ONE
    kept = [408] * limits.LARGE_BODIES_FOR_ONE
    assert sorted(each.status for each in large) == kept + [503] * refused
    assert other.status == 200


def test_too_many_at_once_from_one_address() -> None:
    """Another address is answered, and all of them again when the first have gone."""
    exchanges = [Exchange() for _ in range(limits.RUNNING_FOR_ONE + 2)]
    other, later = Exchange(), Exchange()
    shared = guard(other)
    release = asyncio.Event()

    async def held_up(scope: Any, receive: Any, send: Any) -> None:
        if scope["client"][0].startswith("2001:"):
            await release.wait()
        await other.application(scope, receive, send)

    async def all_at_once() -> None:
        shared.application = held_up
        calls = [
            asyncio.ensure_future(shared(scope(f"2001:db8::{n:x}"), each.receive, each.send))
            for n, each in enumerate(exchanges)
        ]
        await asyncio.sleep(0.1)
        await shared(scope(), other.receive, other.send)
        release.set()
        await asyncio.gather(*calls)
        await shared(scope("2001:db8::1"), later.receive, later.send)

    do(all_at_once())
    assert sorted(each.status for each in exchanges)[-3:] == [200, 503, 503]
    assert (other.status, later.status) == (200, 200)


def test_the_supervisor_is_answered_when_all_is_full() -> None:
    for client, status in (("127.0.0.1", 200), ("192.0.2.1", 200), ("192.0.2.7", 503)):
        exchange = Exchange()
        full = guard(exchange)
        full.running.in_all = 0
        asked = {**scope(client, "/healthz"), "server": ("192.0.2.1", 8000)}
        do(full(asked, exchange.receive, exchange.send))
        assert exchange.status == status, client


def test_the_health_is_told_under_any_name() -> None:
    """The supervisor asks by the address that is listened on, which may be no allowed name."""
    exchange = Exchange()
    narrow = Guard(exchange.application, proxies=(), names=served(["lab.example"], ""))
    do(narrow(scope(path="/healthz", host="192.0.2.1:8000"), exchange.receive, exchange.send))
    assert exchange.status == 200


def test_strangers_forward_nothing() -> None:
    said = {"x_forwarded_for": "1.1.1.1", "x_forwarded_proto": "https", "x_forwarded_host": "e"}
    asked = ask(Exchange(), client="192.0.2.7", forwarded="for=1.1.1.1", **said)
    assert asked.seen is not None
    assert (asked.seen["client"][0], asked.seen["scheme"]) == ("192.0.2.7", "http")
    assert [name for name, _ in asked.seen["headers"]] == [b"host"]


def test_a_named_proxy_is_believed() -> None:
    said = {"x_forwarded_for": "1.1.1.1, 192.0.2.9", "x_forwarded_proto": "https"}
    asked = ask(Exchange(), client="127.0.0.1", **said)
    assert asked.seen is not None
    assert (asked.seen["client"][0], asked.seen["scheme"]) == ("192.0.2.9", "https")


def test_another_name_is_told_what_to_set() -> None:
    asked = ask(Exchange(), host="<b>evil.example")
    assert (asked.status, asked.seen) == (400, None)
    assert "LABPANEL_ALLOWED_HOSTS" in asked.text
    assert "<b>evil" not in asked.text


def test_a_program_is_told_in_json() -> None:
    asked = ask(Exchange(), host="evil.example", path="/api/v1/jobs")
    assert asked.status == 400
    assert asked.text.startswith('{"error": "The panel does not answer under the name')


def test_two_hosts_are_one_too_many() -> None:
    exchange = Exchange()
    headers = [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]
    do(guard(exchange)({**scope(), "headers": headers}, exchange.receive, exchange.send))
    assert exchange.status == 400

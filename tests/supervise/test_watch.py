"""When a process counts as hung, and what is done then."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from labpanel.supervise import container, health, signs
from labpanel.supervise.child import Child
from labpanel.supervise.services import Service
from labpanel.supervise.watch import START_SECONDS, Watch, hung
from tests.supervise.test_child import gone, lives


@pytest.mark.parametrize(
    ("now", "heard", "excused", "expected"),
    [
        (1040, 1039, 0, False),
        (1046, 1000.5, 0, True),
        (1046, 1000.5, 1010, False),  # its broker was away until then
        (1056, 1000.5, 1010, True),
        (1100, None, 0, False),  # it may still be starting
        (1001 + START_SECONDS, None, 0, True),
        (1001 + START_SECONDS, 900, 0, True),  # the sign of the one before it
        (1100, 900, 0, False),
    ],
)
def test_who_hangs(now: float, heard: float | None, excused: float, expected: bool) -> None:
    assert hung(now, 1000, heard, excused, 45) is expected


def test_a_stamp_is_by_the_clock_that_nobody_sets() -> None:
    signs.make("someone")
    assert signs.heard("someone") is None
    signs.mark("someone")
    heard = signs.heard("someone")
    assert heard is not None
    assert 0 <= time.monotonic() - heard < 60
    assert signs.main("someone", "60") == 0
    assert signs.main("someone", "-1") == 1
    assert signs.main("no one", "60") == 1
    assert signs.path("someone").stat().st_mode & 0o777 == 0o600


async def look_at_a_stopped_one(note: Path) -> list[int]:
    """Its process ids: before it was stopped, and after the watch looked."""
    script = f"echo $$ >>'{note}'; exec sleep 300"
    child = Child(Service("stopped", ("sh", "-c", script), sign="stamp", silent=45))
    keeper = asyncio.create_task(child.keep())
    try:
        while not (note.exists() and note.read_text()):
            await asyncio.sleep(0.05)
        later = 0.0
        watch = Watch([child], "http://127.0.0.1:1", clock=lambda: time.monotonic() + later)
        signs.mark("stopped")
        await watch.look()
        assert child.process is not None
        child.process.send_signal(signal.SIGSTOP)
        later = 50.0
        watch._looked = watch.clock()
        await watch.look()
        until = time.monotonic() + 20
        while len(note.read_text().split()) < 2 and time.monotonic() < until:
            await asyncio.sleep(0.05)
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await child.stop()
    return [int(word) for word in note.read_text().split()]


def test_one_that_is_stopped_is_killed_and_started_again(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as aside:
        work = look_at_a_stopped_one(tmp_path / "pids")
        first, second = aside.submit(asyncio.run, work).result()
    assert first != second
    assert not lives(first)
    assert gone(second)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A unix socket that answers each connection with what the list holds; empty: with nothing."""
    path = tmp_path / "s"
    answer: list[bytes] = []
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            client.recv(100)
            if answer:
                client.sendall(answer[0])
                client.close()
            else:
                held.append(client)

    held: list[socket.socket] = []
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path, answer
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(timeout=10)
    for client in held:
        client.close()


def test_a_redis_that_takes_the_question_and_says_nothing_is_not_well(
    server: tuple[Path, list[bytes]],
) -> None:
    path, answer = server
    assert not health.pongs(f"unix://{path}", seconds=0.3)
    answer.append(b"+PONG\r\n")
    assert health.pongs(f"unix://{path}")
    answer[:] = [b"-LOADING Redis is loading the dataset in memory\r\n"]
    assert not health.pongs(f"unix://{path}")
    assert not health.pongs(f"unix://{path}-nothing")


def at(later: float) -> Callable[[], float]:
    return lambda: time.monotonic() + later


def test_a_container_that_hangs_is_ended_and_one_without_its_broker_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    def check(name: str, later: float) -> bool:
        return container.check(name, lambda: ended.append(name), at(later))

    broker = {"answers": False}
    monkeypatch.setattr(health, "pongs", lambda url: broker["answers"])
    for name in ("quick", "broker"):
        signs.make(name)
    assert not check("quick", 0)  # it may still be starting
    assert not check("quick", 1000)
    signs.mark("quick")
    assert check("quick", 60)
    assert not check("quick", 100)
    assert ended == []
    broker["answers"] = True
    assert not check("quick", 100)
    assert ended == ["quick"]


def test_a_web_that_says_nothing_is_ended_and_one_with_a_full_disk_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []
    said: list[dict[str, object] | None] = [{"database": "ok", "redis": "ok", "disk": "ok"}]
    monkeypatch.setattr(health, "says", lambda url: said[0])
    assert container.check("web", lambda: ended.append("web"))
    said[0] = {"database": "cannot be written", "redis": "ok", "disk": "full"}
    assert not container.check("web", lambda: ended.append("web"), at(50))
    said[0] = None
    assert not container.check("web", lambda: ended.append("web"), at(50))
    assert ended == []
    assert not container.check("web", lambda: ended.append("web"), at(100))
    assert ended == ["web"]

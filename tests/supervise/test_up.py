"""The real thing: a panel started detached, one process killed, the panel stopped."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from labpanel.supervise import health
from labpanel.supervise.claim import Claim
from tests.supervise.test_child import gone

REPOSITORY = Path(__file__).resolve().parent.parent.parent
Supervise = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "a home"


@pytest.fixture
def supervise(home: Path) -> Iterator[Supervise]:
    without = {"REDIS_URL", "DATABASE_URL", "HOME"}
    clean = {k: v for k, v in os.environ.items() if k not in without}
    changes = {"LABPANEL_HOME": str(home), "LABPANEL_LISTEN": "127.0.0.1:0"}
    environment = {**clean, **changes, "LABPANEL_ADD_LOCAL": "0", "LABPANEL_LOG_LEVEL": "INFO"}

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "labpanel.supervise", *words],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
            umask=0o022,
        )

    yield call
    call("down")


def children_of(pid: int) -> dict[str, int]:
    """A panel's processes by the word that tells them apart."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        line = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
        for word in ("redis-server", "labpanel.door", "-Q quick", "-Q long", "supervise.beat"):
            if word in line:
                found[word] = int(child)
                break
    return found


def open_to_others(folder: Path) -> list[Path]:
    """What other users of the machine could read. Pages' files lie behind their folder's mode."""
    found = [folder, *(path for path in folder.rglob("*") if "static" not in path.parts)]
    return [path for path in found if not path.is_symlink() and path.stat().st_mode & 0o077]


def eventually(url: str, database: str) -> bool:
    """Whether the health check says so of the database before long."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        said = health.says(url)
        if said is not None and said["database"] == database:
            return True
        time.sleep(0.5)
    return False


def test_up_heals_itself_and_leaves_nothing(home: Path, supervise: Supervise) -> None:
    started = supervise("up", "--detach")
    assert started.returncode == 0, started.stderr
    holder = Claim(home).holder()
    assert holder is not None
    assert holder.url in started.stdout
    with urllib.request.urlopen(f"{holder.url}/healthz", timeout=5) as answer:  # noqa: S310
        assert answer.status == 200
    before = children_of(holder.pid)
    assert set(before) == {"redis-server", "labpanel.door", "-Q quick", "-Q long", "supervise.beat"}

    assert open_to_others(home) == []
    assert open_to_others(Path(f"/proc/{before['redis-server']}/cwd").resolve()) == []
    with closing(sqlite3.connect(home / "labpanel.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # as a program that hangs holds it
        assert eventually(holder.url, "cannot be written")
        other.execute("ROLLBACK")
        assert eventually(holder.url, "ok")

    again = supervise("up", "--detach")
    assert again.returncode == 1
    assert "already running" in again.stderr

    os.kill(before["supervise.beat"], signal.SIGKILL)
    until = time.monotonic() + 20
    while children_of(holder.pid).get("supervise.beat") in {None, before["supervise.beat"]}:
        assert time.monotonic() < until, "beat was not started again"
        time.sleep(0.2)

    after = children_of(holder.pid)
    assert supervise("down").returncode == 0
    assert all(gone(pid) for pid in [holder.pid, *after.values()])
    assert not Claim(home).record.exists()


def test_after_a_kill_down_clears_away(home: Path, supervise: Supervise) -> None:
    assert supervise("up", "--detach").returncode == 0
    holder = Claim(home).holder()
    assert holder is not None
    processes = children_of(holder.pid)
    socket = Path(Path(f"/proc/{processes['redis-server']}/cwd").readlink()) / "redis.sock"
    assert socket.exists()
    os.kill(holder.pid, signal.SIGKILL)
    assert all(gone(pid) for pid in [holder.pid, *processes.values()])
    assert socket.exists()
    assert supervise("down").returncode == 0
    assert not socket.parent.exists()


def test_a_taken_port_is_said_at_once(home: Path, supervise: Supervise) -> None:
    assert supervise("up", "--detach").returncode == 0
    holder = Claim(home).holder()
    assert holder is not None
    port = holder.url.rpartition(":")[2]
    other = home.parent / "another"
    done = subprocess.run(
        [sys.executable, "-m", "labpanel.supervise", "up", "--detach"],
        cwd=REPOSITORY,
        env={**os.environ, "LABPANEL_HOME": str(other), "LABPANEL_LISTEN": f"127.0.0.1:{port}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is used by the panel of {home}" in done.stderr
    assert "Traceback" not in done.stderr

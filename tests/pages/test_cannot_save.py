"""A full disk and a locked database: named on every page and in every answer, never a bug."""

import errno
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError
from django.test import Client

from labpanel.adapters.here import home_disk, saving
from labpanel.cli.management.commands.panel import run_verb
from labpanel.lib.room import FULL, LOW, PanelRoom
from labpanel.live import healthz

GIB = 2**30


@pytest.mark.parametrize(
    ("room", "word"),
    [
        (PanelRoom(LOW, 100 * GIB), "ok"),
        (PanelRoom(LOW - 1, 100 * GIB), "almost full"),
        (PanelRoom(50 << 20, 64 << 20), "ok"),
        (PanelRoom(FULL - 1, 100 * GIB), "full"),
        (PanelRoom(0, 0), "full"),
    ],
)
def test_how_much_room_is_left(room: PanelRoom, word: str) -> None:
    assert room.word == word
    assert bool(room.sentence) == (word != "ok")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_disk, "_known", (time.monotonic() + 1e6, PanelRoom(4096, 10 * GIB)))


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthz, "_written", (-healthz.WRITE_EVERY, "ok"))


def breaks(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Client:
    """A client whose pages run into `error`, and that gets the answer a browser would get."""

    def broken(*args: Any) -> None:
        raise error

    monkeypatch.setattr("labpanel.home.selectors.overview.overview", broken)
    monkeypatch.setattr("hosts.verbs.host.list.host_list", broken)
    return Client(raise_request_exception=False)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_named_on_every_page(signed_in: Client, client: Client) -> None:
    for address in ("/", "/coverage/", "/jobs/", "/settings/"):
        page = signed_in.get(address).content.decode()
        assert "is full: the panel cannot save anything" in page, address
        assert str(django_settings.HOME_DIR) in page
    stranger = Client().get("/sign-in/").content.decode()
    assert "is full" in stranger
    assert str(django_settings.HOME_DIR) not in stranger


FULL_SQLITE = OperationalError("database or disk is full")
LOCKED = OperationalError("database is locked")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FULL_SQLITE, "is full"),
        (LOCKED, "locked by another program"),
        (OSError(errno.ENOSPC, "No space left on device"), "is full"),
        (OperationalError("attempt to write a readonly database"), "read-only"),
    ],
)
def test_what_cannot_be_saved_is_503_with_one_sentence(
    owner: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    client = breaks(monkeypatch, error)
    client.force_login(owner)
    page = client.get("/")
    assert (page.status_code, page["Retry-After"]) == (503, "10")
    assert words in page.content.decode()
    assert "Something broke" not in page.content.decode()
    answer = client.get("/api/v1/hosts")
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    "error",
    [
        # PostgreSQL says ProgrammingError here; its OperationalError is a lost connection.
        pytest.param(OperationalError("no such column: x"), marks=pytest.mark.sqlite),
        ValueError("a bug"),
    ],
)
def test_a_bug_stays_a_bug(owner: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    client = breaks(monkeypatch, error)
    client.force_login(owner)
    assert client.get("/").status_code == 500


def test_a_verb_says_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: Any) -> None:
        raise FULL_SQLITE

    monkeypatch.setattr("labpanel.clock.verbs.clock.watched", broken)
    assert run_verb("clock", []) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is full" in said


@pytest.mark.django_db
@pytest.mark.usefixtures("full_disk")
def test_healthz_says_that_the_disk_is_full(client: Client) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["disk"] == "full"
    assert answer.json()["free_bytes"] == 4096


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("may not mount here")
    yield place
    subprocess.run(["umount", str(place)], check=True, timeout=20)


def test_what_sqlite_says_on_a_disk_that_is_full(small_disk: Path) -> None:
    """The words that saving.trouble looks for, from the real program."""
    base = sqlite3.connect(small_disk / "base")
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("CREATE TABLE t (x)")
    with pytest.raises(sqlite3.OperationalError) as full:
        for _ in range(100):
            base.execute("INSERT INTO t VALUES (zeroblob(100000))")
            base.commit()
    base.close()
    assert "full" in saving.trouble(OperationalError(*full.value.args))

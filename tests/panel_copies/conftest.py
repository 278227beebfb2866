"""A panel's home of its own, with a real database: the tables of this code and some rows."""

import functools
import sqlite3
import subprocess
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from labpanel.adapters.here import age
from labpanel.adapters.here.age import CopyKey
from labpanel.panel_copies.services.export_panel import export_panel
from labpanel.panel_copies.state import PanelState, write_key
from tests.pages import factory

PASSPHRASE = "correct horse battery"


def database_at(path: Path) -> Path:
    """The test's own database, as a file."""
    connection.ensure_connection()
    target = sqlite3.connect(path)
    # Its backup API would wait for the end of the transaction that the test runs in.
    target.executescript("\n".join(connection.connection.iterdump()))
    target.close()
    path.chmod(0o600)
    return path


def home_at(home: Path) -> PanelState:
    """A panel that has run: database, id, keys."""
    home.mkdir(mode=0o700)
    (home / "ssh").mkdir(mode=0o700)
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "ssh/id_ed25519")]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=60)
    (home / "panel-id").write_text("7d0e5a52-7c0c-4a4b-9d0c-0d6b5c6f2b11\n")
    (home / "secret.key").write_text("s" * 64)
    (home / "manifest.key").write_text("ab" * 32)
    for path in (home / "panel-id", home / "secret.key", home / "manifest.key"):
        path.chmod(0o600)
    return PanelState(home, database_at(home / "labpanel.sqlite3"))


@pytest.fixture
def state(db: None, tmp_path: Path) -> PanelState:
    host = factory.make_host("alpha")
    vm = factory.make_vm(host, "home", disks=2)
    factory.make_finding(host, vm, subject="/srv")
    return home_at(tmp_path / "home")


def dumped(database: Path) -> list[str]:
    """Every row of every table, as SQL."""
    connection = sqlite3.connect(database)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def files_of(home: Path) -> dict[str, bytes]:
    """Path below the home → content, of all that matters."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.endswith(".lock")
    }


@pytest.fixture(scope="session")
def key() -> CopyKey:
    """Made once: scrypt takes its second each time."""
    return age.make_key(PASSPHRASE)


@pytest.fixture(autouse=True)
def opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answers as the real one, the repeated ones from memory."""
    monkeypatch.setattr(age, "open_key", _remembered)


_real = age.open_key
_remembered = functools.cache(_real)


@pytest.fixture
def copy(state: PanelState, key: CopyKey, tmp_path: Path) -> Path:
    """A copy of the panel in `state`, whose key is chosen."""
    write_key(state.home, key)
    export_panel(state, key, tmp_path / "copy.tar", timezone.now())
    return tmp_path / "copy.tar"


def passphrase() -> str:
    return PASSPHRASE

"""What a start finds: a damaged, empty or lost database is named, and copied before it changes."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.here import copy_file, sqlite_file
from labpanel.adapters.store.panel_copies import CopyFile
from labpanel.lib.panel_copy import name_at
from labpanel.panel_copies import record
from labpanel.panel_copies.services.look_before_start import lost_state, too_new
from labpanel.panel_copies.services.prepare_start import copy_before, offer
from labpanel.panel_copies.state import PanelState, copies_before
from tests.panel_copies.conftest import dumped
from tests.panel_copies.test_export_and_import import poke

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LAST = "0012_alter_user_first_name_max_length"
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


def test_a_whole_panel_starts(state: PanelState) -> None:
    assert lost_state(state) == ""
    assert too_new(state) == ""


def test_a_new_panel_starts(tmp_path: Path) -> None:
    """Any verb makes the signing key before."""
    (tmp_path / "secret.key").write_text("s" * 64)
    assert lost_state(PanelState(tmp_path, tmp_path / "labpanel.sqlite3")) == ""


def truncate(database: Path) -> None:
    os.truncate(database, 0)


def halve(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def overwrite_the_start(database: Path) -> None:
    with database.open("r+b") as file:
        file.write(b"not a database at all, but a letter")


def fresh(database: Path) -> None:
    database.unlink()
    sqlite3.connect(database).execute("CREATE TABLE t (id)").connection.close()


def to_a_folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (truncate, "is empty, beside panel-id"),
        (Path.unlink, "is missing, beside panel-id"),
        (fresh, "is empty, beside panel-id"),
        (halve, "is damaged"),
        (poke, "is damaged"),
        (overwrite_the_start, "is damaged: file is not a database"),
        (to_a_folder, "is damaged: it is not a file"),
    ],
)
def test_harm_is_named(state: PanelState, harm: Callable[[Path], None], said: str) -> None:
    assert state.database is not None
    harm(state.database)
    found = lost_state(state)
    assert said in found
    assert found.startswith(f"The database {state.database} is ")
    assert len(found.splitlines()) == 1


def test_an_empty_file_beside_the_signing_key_alone(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("s" * 64)
    (tmp_path / "labpanel.sqlite3").touch()
    found = lost_state(PanelState(tmp_path, tmp_path / "labpanel.sqlite3"))
    assert "is empty, beside secret.key" in found


@pytest.mark.parametrize("name", ["panel-id", "ssh/id_ed25519"])
def test_a_lost_key_is_named(state: PanelState, name: str) -> None:
    assert state.database is not None
    connection = sqlite3.connect(state.database)
    connection.execute(
        "INSERT INTO backups_store (name, path, store_id, added_at, error, strangers, drives)"
        " VALUES ('far', '/srv', '1', '2026-01-01', '', '[]', '[]')"
    )
    connection.commit()
    connection.close()
    (state.home / name).unlink()
    assert f"{state.home / name} is missing, and " in lost_state(state)


def test_a_check_has_an_end(state: PanelState, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is too large to be read through at a start is believed."""
    assert state.database is not None
    poke(state.database)
    monkeypatch.setattr(sqlite_file, "CHECK_SECONDS", -1.0)
    monkeypatch.setattr(sqlite_file, "_STEPS", 1)
    assert sqlite_file.fault(state.database) == ""


def test_the_offer_names_the_newest_copies(state: PanelState) -> None:
    assert "No copy of it is known here." in offer(state, NOW)
    names = [name_at(NOW - timedelta(days=days)) for days in (3, 1)]
    store = record.StoreCopies(
        "far", "1", "/srv/store", "beta", "root@beta", "",
        copies=tuple(CopyFile(name, 10) for name in names),
    )  # fmt: skip
    record.write(state.home, [store])
    copy_before(state, NOW - timedelta(days=2))
    said = "\n".join(offer(state, NOW))
    assert "./panel import --store far: newest 24" in said
    assert "/srv/store on beta" in said
    assert f"./panel import {copies_before(state.home)[0]}" in said
    assert "./panel up --start-empty" in said


# Before the tables are changed


def test_three_copies_stay(state: PanelState) -> None:
    assert state.database is not None
    made = [copy_before(state, NOW + timedelta(days=number)) for number in range(5)]
    assert copies_before(state.home) == [*reversed(made[2:])]
    assert {path.stat().st_mode & 0o777 for path in copies_before(state.home)} == {0o600}
    assert made[4] is not None
    assert dumped(made[4]) == dumped(state.database)


def test_without_room_there_is_no_copy_and_no_change(
    state: PanelState, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_before(state, NOW)

    def full(folder: Path, size: int) -> None:
        real(folder, size + (1 << 60))

    real = copy_file.room_for
    monkeypatch.setattr("labpanel.panel_copies.services.prepare_start.room_for", full)
    with pytest.raises(AdapterError, match="no copy of the database could be made before: There"):
        copy_before(state, NOW + timedelta(days=1))
    assert len(copies_before(state.home)) == 1


def test_a_write_that_fails_leaves_no_half_copy(state: PanelState) -> None:
    """The kernel's own limit on a file's size stands for a disk that fills up meanwhile."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
            copy_before(state, NOW)
        except AdapterError as error:
            status = 0 if "could be made before: " in error.sentence else 2
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended) == 0
    assert list((state.home / "copies").iterdir()) == []


def prepared(home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    return subprocess.run(
        [sys.executable, "manage.py", "prepare"],
        cwd=REPOSITORY,
        env={**clean, "LABPANEL_HOME": str(home), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_a_first_start_makes_all_keys(tmp_path: Path) -> None:
    """A copy of the panel may be made before its first backup needs a key."""
    assert prepared(tmp_path).returncode == 0
    panel = PanelState(tmp_path, tmp_path / "labpanel.sqlite3")
    assert panel.keys().keys() >= {"panel-id", "secret.key", "manifest.key", "ssh/id_ed25519"}


def test_an_older_database_is_copied_and_then_brought_up_to_date(state: PanelState) -> None:
    """And one of 0 bytes is refused until its owner says otherwise, which loses nothing."""
    assert state.database is not None
    connection = sqlite3.connect(state.database)
    connection.execute("DELETE FROM django_migrations WHERE app = 'auth' AND name = ?", (LAST,))
    connection.commit()
    connection.close()
    before = dumped(state.database)
    done = prepared(state.home)
    assert done.returncode == 0, done.stderr
    (copy,) = copies_before(state.home)
    assert dumped(copy) == before
    assert ("auth", LAST) in sqlite_file.applied(state.database)
    assert prepared(state.home).returncode == 0
    assert len(copies_before(state.home)) == 1  # nothing changed: nothing to copy

    state.database.write_bytes(b"")
    refused = prepared(state.home)
    assert refused.returncode == 1
    assert f"The database {state.database} is empty" in refused.stderr
    assert f"./panel import {copy}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert state.database.stat().st_size == 0
    anew = prepared(state.home, LABPANEL_START_EMPTY="1")
    assert anew.returncode == 0, anew.stderr
    assert sqlite_file.rows(state.database, "django_migrations")
    assert list(state.home.glob("replaced-*/database.sqlite3"))

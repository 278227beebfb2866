"""A database alone needs no passphrase: only the panel's own are taken, and none that runs code."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from labpanel.adapters.errors import Refused
from labpanel.adapters.here import sqlite_file
from labpanel.adapters.here.age import CopyKey
from labpanel.panel_copies.services.export_panel import export_panel
from labpanel.panel_copies.services.prove_copy import prove_copy
from labpanel.panel_copies.state import PanelState
from tests.panel_copies.conftest import dumped
from tests.panel_copies.test_export_and_import import brought_back, own_copies, unchanged

BEFORE = "before-20261127T090000Z.sqlite3"


def elsewhere(state: PanelState, made: Path) -> Path:
    return made.rename(state.home.parent / "mine.sqlite3")


def beside_them(state: PanelState, made: Path) -> Path:
    return made.rename(state.home / "mine.sqlite3")


def deeper(state: PanelState, made: Path) -> Path:
    (made.parent / "inner").mkdir()
    return made.rename(made.parent / "inner" / made.name)


def by_a_link(state: PanelState, made: Path) -> Path:
    made.symlink_to(elsewhere(state, made))
    return made


def in_a_linked_folder(state: PanelState, made: Path) -> Path:
    made.parent.rename(state.home.parent / "copies")
    made.parent.symlink_to(state.home.parent / "copies")
    return made


def written_by_others(state: PanelState, made: Path) -> Path:
    made.chmod(0o620)
    return made


def in_an_open_folder(state: PanelState, made: Path) -> Path:
    made.parent.chmod(0o770)
    return made


def another_users(state: PanelState, made: Path) -> Path:
    if os.geteuid():
        pytest.skip("only root gives files away")
    os.chown(made, 65534, 65534)
    return made


@pytest.mark.parametrize(
    "put",
    [
        elsewhere,
        beside_them,
        deeper,
        by_a_link,
        in_a_linked_folder,
        written_by_others,
        in_an_open_folder,
        another_users,
    ],
)
def test_one_that_is_not_the_panels_own(
    state: PanelState, put: Callable[[PanelState, Path], Path]
) -> None:
    assert state.database is not None
    made = own_copies(state) / BEFORE
    sqlite_file.snapshot(state.database, made)
    source = put(state, made)
    said = unchanged(state, lambda: brought_back(state, source))
    assert "opens without a passphrase" in said
    assert f"{state.home}/copies" in said


def test_a_way_that_leads_to_the_panels_own(state: PanelState) -> None:
    assert state.database is not None
    sqlite_file.snapshot(state.database, own_copies(state) / BEFORE)
    assert brought_back(state, state.home / "ssh" / ".." / "copies" / BEFORE).made_at is None


# What a database of a panel never has: views, triggers, virtual tables (sqlite.org/security.html)

ENDLESS = """
DROP TABLE django_migrations;
CREATE VIEW django_migrations AS
WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT i AS app, i AS name FROM n;
"""
ODD = {
    "an endless view": ENDLESS,
    "a view": "CREATE VIEW mine AS SELECT 1",
    "a trigger": (
        "CREATE TRIGGER t AFTER INSERT ON hosts_host BEGIN DELETE FROM backups_store; END"
    ),
    "a virtual table": "CREATE VIRTUAL TABLE v USING fts5(x)",
    "one that lies about its type": (
        "CREATE VIEW mine AS SELECT 1; PRAGMA writable_schema=ON;"
        "UPDATE sqlite_master SET type = 'table', rootpage = 2 WHERE name = 'mine'"
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_a_database_that_does_more_than_hold_rows(
    state: PanelState, key: CopyKey, tmp_path: Path, what: str
) -> None:
    """Also inside a copy that opens with the passphrase."""
    assert state.database is not None
    whole = dumped(state.database)
    odd = tmp_path / "odd.sqlite3"
    sqlite_file.snapshot(state.database, odd)
    connection = sqlite3.connect(odd)
    connection.executescript(ODD[what])
    connection.close()
    with pytest.raises(Refused):
        prove_copy({"database.sqlite3": odd})
    with pytest.raises(Refused):
        sqlite_file.applied(odd)
    alone = own_copies(state) / BEFORE
    alone.write_bytes(odd.read_bytes())
    alone.chmod(0o600)
    unchanged(state, lambda: brought_back(state, alone))
    alone.unlink()
    if what != "one that lies about its type":  # no copy can be made of it either
        export_panel(PanelState(state.home, odd), key, tmp_path / "odd.tar", timezone.now())
        unchanged(state, lambda: brought_back(state, tmp_path / "odd.tar"))
    assert dumped(state.database) == whole


def test_a_view_is_named(state: PanelState, tmp_path: Path) -> None:
    odd = tmp_path / "odd.sqlite3"
    assert state.database is not None
    sqlite_file.snapshot(state.database, odd)
    connection = sqlite3.connect(odd)
    connection.executescript(ENDLESS)
    connection.close()
    with pytest.raises(Refused, match="has more than tables and indexes: view django_migrations"):
        sqlite_file.applied(odd)


def test_migrations_without_end(state: PanelState) -> None:
    assert state.database is not None
    connection = sqlite3.connect(state.database)
    connection.executescript(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) "
        "INSERT INTO django_migrations (app, name, applied) SELECT 'a', i, '2026' FROM n"
    )
    connection.close()
    with pytest.raises(Refused, match="more than 10000 migrations"):
        sqlite_file.applied(state.database)


def test_looks_have_an_end(state: PanelState, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state.database is not None
    monkeypatch.setattr(sqlite_file, "LOOK_SECONDS", -1.0)
    monkeypatch.setattr(sqlite_file, "_STEPS", 1)
    with pytest.raises(Refused, match="interrupted"):
        sqlite_file.applied(state.database)

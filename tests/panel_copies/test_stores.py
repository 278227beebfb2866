"""Copies of the panel in stores: whole or not at all, the newest seven, no other panel's
touched."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backups.models import Store
from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.here import sqlite_file
from labpanel.adapters.here.age import CopyKey
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store import panel_copies
from labpanel.adapters.store.panel_copies import StoredPanelCopies, parse_copies
from labpanel.lib.panel_copy import name_at
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import PANEL
from labpanel.onhost.store import foreign_files, store_marker
from labpanel.panel_copies import record
from labpanel.panel_copies.services import copy_daily as daily
from labpanel.panel_copies.services.copy_daily import copy_daily
from labpanel.panel_copies.services.fetch_copy import fetched
from labpanel.panel_copies.services.import_panel import import_panel
from labpanel.panel_copies.state import PanelState, write_key
from tests.panel_copies.conftest import dumped, passphrase

PANEL_ID = "7d0e5a52-7c0c-4a4b-9d0c-0d6b5c6f2b11"
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "it's a $(store)"
    place.mkdir()
    return place


@pytest.fixture
def shelf(folder: Path) -> Iterator[StoredPanelCopies]:
    store_id = store_marker.write_marker(folder, PANEL_ID).store_id
    with StoredPanelCopies(Machine(PANEL), str(folder), PANEL_ID, store_id) as opened:
        yield opened


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.write_bytes(os.urandom(panel_copies.CHUNK + 12345))
    return path


def lying(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "panel-copies" / PANEL_ID).iterdir())


def test_seven_stay_and_what_is_not_ours_is_left_alone(
    folder: Path, shelf: StoredPanelCopies, made: Path
) -> None:
    other = folder / "panel-copies" / "00000000-0000-4000-8000-000000000000"
    other.mkdir(parents=True)
    (other / name_at(NOW - 400 * DAY)).write_text("another panel's")
    names = [name_at(NOW + number * DAY) for number in range(9)]
    shelf.put(made, names[0])
    (folder / "panel-copies" / PANEL_ID / "notes.txt").write_text("mine")
    for name in names[1:]:
        found = shelf.put(made, name)
    assert [copy.name for copy in found] == names[2:]
    assert lying(folder) == [*names[2:], "notes.txt"]
    assert list(other.iterdir())
    assert shelf.copies() == found
    assert {copy.size for copy in found} == {made.stat().st_size}
    assert foreign_files.foreign_files(str(folder)) == []


def test_it_comes_back_as_it_was(shelf: StoredPanelCopies, made: Path, tmp_path: Path) -> None:
    (copy,) = shelf.put(made, name_at(NOW))
    shelf.get(copy.name, copy.size, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == made.read_bytes()
    with pytest.raises(Refused, match="not whole"):
        shelf.get(copy.name, copy.size - 1, tmp_path / "less")


def test_a_copy_from_the_future_pushes_none_out(
    folder: Path, shelf: StoredPanelCopies, made: Path
) -> None:
    ahead = [name_at(NOW + timedelta(days=900 + number)) for number in range(8)]
    place = folder / "panel-copies" / PANEL_ID
    place.mkdir(parents=True)
    for name in ahead:
        (place / name).write_text("made under a wrong clock")
    for number in range(8):
        shelf.put(made, name_at(NOW + number * DAY))
    assert lying(folder) == [*(name_at(NOW + number * DAY) for number in range(1, 8)), *ahead]


def test_killed_in_the_middle_it_leaves_no_copy_and_the_next_one_clears_up(
    folder: Path, shelf: StoredPanelCopies, made: Path
) -> None:
    shelf.put(made, name_at(NOW))
    session = shelf._session
    session.call("begin", deadline=20, name=name_at(NOW + DAY), **shelf._whole)
    session.call("write", deadline=20, data="AAAA")
    os.killpg(session._process.pid, signal.SIGKILL)
    assert lying(folder) == [f".{name_at(NOW + DAY)}.partial", name_at(NOW)]
    with StoredPanelCopies(Machine(PANEL), **_where(shelf)) as again:
        assert [copy.name for copy in again.copies()] == [name_at(NOW)]
        again.put(made, name_at(NOW + 2 * DAY))
    assert lying(folder) == [name_at(NOW), name_at(NOW + 2 * DAY)]


def _where(shelf: StoredPanelCopies) -> dict[str, str]:
    whole = shelf._whole
    return {"path": whole["store"], "panel_id": whole["panel_id"], "store_id": whole["store_id"]}


def test_two_at_once_are_not_mixed(shelf: StoredPanelCopies, made: Path) -> None:
    shelf._session.call("begin", deadline=20, name=name_at(NOW), **shelf._whole)
    with (
        StoredPanelCopies(Machine(PANEL), **_where(shelf)) as second,
        pytest.raises(ScriptRefused, match="Another copy of this panel is being written"),
    ):
        second.put(made, name_at(NOW + DAY))


def test_what_arrives_otherwise_than_it_was_sent_gets_no_name(
    folder: Path, shelf: StoredPanelCopies
) -> None:
    shelf._session.call("begin", deadline=20, name=name_at(NOW), **shelf._whole)
    shelf._session.call("write", deadline=20, data="AAAA")
    with pytest.raises(ScriptRefused, match="not the one that was sent"):
        shelf._session.call("finish", deadline=20, sha256="0" * 64, keep=7)
    assert shelf.copies() == ()


@pytest.mark.parametrize("where", ["panel-copies", f"panel-copies/{PANEL_ID}"])
def test_a_link_is_not_followed(
    folder: Path, shelf: StoredPanelCopies, made: Path, tmp_path: Path, where: str
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    (folder / where).parent.mkdir(exist_ok=True)
    (folder / where).symlink_to(away)
    with pytest.raises(ScriptRefused, match="is not a folder of labpanel"):
        shelf.put(made, name_at(NOW))
    assert list(away.iterdir()) == []


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_only_regular_files_are_read(
    folder: Path, shelf: StoredPanelCopies, tmp_path: Path, kind: str
) -> None:
    place = folder / "panel-copies" / PANEL_ID
    place.mkdir(parents=True)
    odd = place / name_at(NOW)
    if kind == "fifo":
        os.mkfifo(odd)
    elif kind == "link":
        odd.symlink_to("/etc/passwd")
    else:
        odd.mkdir()
    assert shelf.copies() == ()
    with pytest.raises(AdapterError):
        shelf.get(odd.name, 10, tmp_path / "out")


@pytest.mark.parametrize(
    "answer",
    [None, {}, [1], [{"name": "../x", "bytes": 1}], [{"name": name_at(NOW), "bytes": -1}],
     [{"name": name_at(NOW), "bytes": True}], [{"name": name_at(NOW)}],
     [{"name": "20261399T000000Z.tar", "bytes": 1}],
     [{"name": name_at(NOW), "bytes": 1, "more": 1}], [{"name": name_at(NOW), "bytes": 1}] * 1001],
)  # fmt: skip
def test_an_answer_of_another_shape_is_refused(answer: object) -> None:
    with pytest.raises(Refused, match="no sensible answer"):
        parse_copies(answer)


# Every day, to every store


def stored(path: Path, name: str) -> Store:
    path.mkdir()
    marker = store_marker.write_marker(path, PANEL_ID)
    return Store.objects.create(name=name, path=str(path), store_id=marker.store_id)


@pytest.fixture(autouse=True)
def same_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """panel_id() remembers the id of the process's own home."""
    monkeypatch.setattr(daily, "panel_id", lambda: PANEL_ID)


def test_nothing_is_copied_before_a_passphrase_was_chosen(
    state: PanelState, tmp_path: Path
) -> None:
    store = stored(tmp_path / "near", "near")
    copy_daily(state, NOW)
    assert not (Path(store.path) / "panel-copies").exists()


def test_each_store_gets_one_a_day_and_a_silent_one_stops_no_other(
    state: PanelState, key: CopyKey, tmp_path: Path
) -> None:
    write_key(state.home, key)
    gone, near = stored(tmp_path / "gone", "gone"), stored(tmp_path / "near", "near")
    Path(gone.path).rename(tmp_path / "unmounted")
    place = Path(near.path) / "panel-copies" / PANEL_ID
    for hours, count in ((0, 1), (1, 1), (23, 1), (24, 2), (25, 2), (49, 3)):
        copy_daily(state, NOW + timedelta(hours=hours))
        assert len(list(place.iterdir())) == count, hours
    first, second = record.read(state.home)
    assert (first.store, first.copies) == ("gone", ())
    assert "does not exist" in first.error
    assert (second.store, second.error, len(second.copies)) == ("near", "", 3)
    Path(tmp_path / "unmounted").rename(gone.path)
    copy_daily(state, NOW + timedelta(hours=50))
    assert [(each.store, each.error) for each in record.read(state.home)] == [
        ("gone", ""),
        ("near", ""),
    ]
    gone.delete()
    copy_daily(state, NOW + timedelta(hours=51))
    assert [each.store for each in record.read(state.home)] == ["near"]
    assert not list(state.home.glob("making-copy-*"))


def test_a_clock_that_goes_back_still_makes_copies(
    state: PanelState, key: CopyKey, tmp_path: Path
) -> None:
    write_key(state.home, key)
    near = stored(tmp_path / "near", "near")
    for now in (NOW + 900 * DAY, NOW, NOW + DAY):
        copy_daily(state, now)
    names = sorted(path.name for path in (Path(near.path) / "panel-copies" / PANEL_ID).iterdir())
    assert names == [name_at(NOW), name_at(NOW + DAY), name_at(NOW + 900 * DAY)]


def test_a_store_brings_back_a_panel_whose_database_is_gone(
    state: PanelState, key: CopyKey, tmp_path: Path
) -> None:
    assert state.database is not None
    write_key(state.home, key)
    stored(tmp_path / "near", "near")
    before = dumped(state.database)
    copy_daily(state, NOW)
    state.database.write_bytes(b"")
    with fetched(state, "near", NOW + timedelta(hours=3)) as path:
        done = import_panel(state, path, passphrase, NOW + timedelta(hours=3))
    assert (done.made_at, done.panel_id) == (NOW, PANEL_ID)
    assert dumped(state.database) == before
    assert not list(state.home.glob("fetching-copy-*"))


def test_a_store_that_hands_over_a_database(
    state: PanelState, key: CopyKey, tmp_path: Path
) -> None:
    assert state.database is not None
    write_key(state.home, key)
    near = stored(tmp_path / "near", "near")
    copy_daily(state, NOW)
    (copy,) = (Path(near.path) / "panel-copies" / PANEL_ID).iterdir()
    copy.unlink()
    sqlite_file.snapshot(state.database, copy)
    with (
        pytest.raises(Refusal, match="The store near holds a bare database instead of a copy"),
        fetched(state, "near", NOW + DAY),
    ):
        pytest.fail("it was given to the import")


def test_a_damaged_record_is_no_record(state: PanelState) -> None:
    for text in ("", "{", "[]", '{"format": 1}', '{"format": 1, "stores": [{}]}', "[" * 100_000):
        (state.home / record.FILE).write_text(text)
        assert record.read(state.home) == ()


def test_in_doubt_about_the_clock_nothing_is_removed(
    state: PanelState, key: CopyKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_key(state.home, key)
    near = stored(tmp_path / "near", "near")
    place = Path(near.path) / "panel-copies" / PANEL_ID
    place.mkdir(parents=True)
    for days in range(1, 10):
        (place / name_at(NOW - days * DAY)).write_text("older")
    monkeypatch.setattr(daily, "doubt", lambda: "The clock jumped.")
    copy_daily(state, NOW)
    assert len(list(place.iterdir())) == 10
    monkeypatch.setattr(daily, "doubt", lambda: "")
    copy_daily(state, NOW + DAY)
    assert len(list(place.iterdir())) == 7

"""Links that lie in a store lead no change of it to another file of its machine."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.pruner import Pruner
from labpanel.lib.shapes import PANEL
from labpanel.lib.store_format.journal import JournalFile, Stage
from labpanel.lib.store_format.names import JOURNAL, MARKER
from labpanel.onhost.runtime import inside
from labpanel.onhost.runtime.wire import Problem
from labpanel.onhost.store import filling, journal, locks, manifests
from labpanel.onhost.store.store_marker import write_marker
from tests.adapters import generations
from tests.adapters.generations import BLOCK, VM, Made
from tests.made_manifests import KEY, seal, sealed, value, written

OTHER = "20261101T230000Z-aaaaaa"


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file elsewhere; it must be as it was in the end."""
    folder = tmp_path / "etc"
    folder.mkdir()
    names = ("shadow", "manifest.json", "vda.qcow2", "fresh-x")
    for name in names:
        (folder / name).write_text("precious")
    yield folder
    assert {name: (folder / name).read_text() for name in names} == dict.fromkeys(names, "precious")
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "store" / VM / KEY
    place.mkdir(parents=True)
    return place


@pytest.fixture
def made(qemu: None, tmp_path: Path) -> Made:
    generations.init(tmp_path / "kept")
    return Made(tmp_path / "kept", random.Random(3))


def forged(made: Made, stage: str, drop: dict[str, Any], entries: dict[str, Any]) -> None:
    said = {"stage": stage, "drop": drop, "entries": entries}
    found = {**said, "seal": seal(said)}
    (made.folder / JOURNAL).write_text(written(found))


def taken_up(made: Made) -> str:
    with (
        Pruner(Machine(PANEL), str(made.store), "panel-one", "store-one") as pruner,
        pytest.raises(ScriptRefused) as refused,
    ):
        pruner.take_up(VM, lambda _: None)
    return str(refused.value)


def test_a_forged_journal_removes_nothing_elsewhere(made: Made, victim: Path) -> None:
    key = made.add({"vda": bytes(BLOCK)})
    manifest = {**made.manifest(key), "generation": OTHER, "files": {"shadow": "0" * 64}}
    (made.folder / OTHER).symlink_to(victim)
    forged(made, Stage.MERGING, {OTHER: sealed(manifest)}, {})
    assert "symbolic link" in taken_up(made)


def test_a_forged_journal_takes_nothing_from_elsewhere(made: Made, victim: Path) -> None:
    key = made.add({"vda": bytes(BLOCK)})
    (made.folder / OTHER).symlink_to(victim)
    entry = {"from": f"{OTHER}/vda.qcow2", "parent": None, "file_bytes": 8, "sha256": "0" * 64}
    forged(made, Stage.REBUILDING, {}, {key: {"vda": entry}})
    assert "symbolic link" in taken_up(made)


def test_what_a_journal_drops_in_a_linked_folder_stays(place: Path, victim: Path) -> None:
    place.rmdir()
    place.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        journal.Journal(place.parent, JournalFile(drop={KEY: value()})).unlist()
    with pytest.raises(OSError, match="symbolic link"):
        journal.Journal(place.parent, JournalFile()).fresh(KEY, "x")


def test_a_link_with_the_name_of_what_is_written_is_gone(place: Path, victim: Path) -> None:
    store = place.parent.parent
    (store / f"{MARKER}.new").symlink_to(victim / "shadow")
    write_marker(store, "panel-one")
    (place / "manifest.json.new").symlink_to(victim / "shadow")
    manifests.write(place, value())
    (place / "domain.xml").symlink_to(victim / "shadow")
    inside.put(place / "domain.xml", b"new")
    assert (place / "domain.xml").read_bytes() == b"new"
    assert not (place / "domain.xml").is_symlink()


def test_an_image_is_made_in_place_of_a_link(qemu: None, place: Path, victim: Path) -> None:
    (place / "vda.qcow2").symlink_to(victim / "shadow")
    filling.create(place / "vda.qcow2", BLOCK, f"../{OTHER}/vda.qcow2")
    assert (place / "vda.qcow2").read_bytes()[:4] == b"QFI\xfb"
    filling.trim(place / "vda.qcow2", BLOCK)


@pytest.mark.parametrize("linked", ["file", "generation", "vm"])
def test_nothing_is_cut_moved_or_removed_through_a_link(
    place: Path, victim: Path, linked: str
) -> None:
    path = place / "shadow"
    if linked == "file":
        path.symlink_to(victim / "shadow")
    elif linked == "generation":
        place.rmdir()
        place.symlink_to(victim)
    else:
        place.rmdir()
        place.parent.rmdir()
        (victim.parent / "vms").mkdir()
        (victim.parent / "vms" / KEY).symlink_to(victim)
        place.parent.symlink_to(victim.parent / "vms")
    with pytest.raises(OSError, match="symbolic link"):
        inside.cut(path, 0) if linked != "file" else inside.opened(path)
    if linked == "file":
        with pytest.raises(OSError, match="symbolic links"):
            inside.cut(path, 0)
    else:
        with pytest.raises(OSError, match="symbolic link"):
            inside.remove(path)
        with pytest.raises(OSError, match="symbolic link"):
            inside.move(path, place.parent / "x")
        with pytest.raises(OSError, match="symbolic link"):
            inside.put(path, b"new")


def test_a_lock_is_made_through_no_link(place: Path, victim: Path) -> None:
    place.rmdir()
    place.parent.rmdir()
    place.parent.symlink_to(victim)
    with pytest.raises(Problem, match="symbolic link"):
        locks.lock(str(place.parent.parent), VM, exclusive=True)


def test_a_store_may_be_reached_through_a_link(place: Path, tmp_path: Path) -> None:
    (tmp_path / VM).symlink_to(place.parent.parent)
    inside.put(tmp_path / VM / VM / KEY / "x", b"1")
    assert (place / "x").read_bytes() == b"1"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_half_done_generation_with_an_odd_note_is_left(
    place: Path, victim: Path, kind: str
) -> None:
    partial = place.parent / f".{KEY}.partial"
    partial.mkdir()
    note = partial / "labpanel.json"
    if kind == "link":
        note.symlink_to(victim / "shadow")
    elif kind == "pipe":
        os.mkfifo(note)
    else:
        note.mkdir()
    with pytest.raises(Problem, match="belongs to another panel"):
        filling.drop(str(place.parent.parent), VM, KEY, "panel-one")
    assert partial.is_dir()

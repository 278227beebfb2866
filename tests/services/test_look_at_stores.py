"""A real store that is not as it should be: one clear sentence, and nothing foreign is touched."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backups.models import Generation, Store
from backups.services.identity import panel_id
from backups.services.look_at_stores import look_at
from labpanel.adapters.machine import Machine
from labpanel.adapters.pruner import Pruner
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.scripts.surroundings import write_marker
from labpanel.lib.shapes import PANEL
from tests.services.shelved import VM_UUID, Made
from tests.services.test_verify import (
    FIRST,
    SECOND,
    THIRD,
    damaged,
    emptied,
    gone,
    made,
    shows,
    swapped,
)

__all__ = ["made"]
MARKER = "labpanel-store.json"


def looked(made: Made) -> Store:
    look_at(made.store)
    return Store.objects.get(pk=made.store.pk)


def foreign(folder: Path) -> None:
    marker = json.loads((folder / MARKER).read_text())
    write_marker(folder, "another", marker["store_id"])


@pytest.mark.parametrize(
    ("lose", "words"),
    [
        (emptied, "is empty: mount what should be mounted there"),
        (gone, "does not exist or is not a directory"),
        (swapped, "holds another store than the one that was added"),
        (foreign, "is used by another panel; this one leaves it alone"),
    ],
)
def test_what_became_of_a_store_is_said(
    made: Made, lose: Callable[[Path], None], words: str
) -> None:
    looked(made)
    lose(made.folder)
    assert words in looked(made).error
    assert set(Generation.objects.values_list("state", flat=True)) == {"complete"}


def test_a_marker_that_rotted_is_written_anew(made: Made) -> None:
    marker = made.folder / MARKER
    whole = marker.read_bytes()
    for at in range(0, len(whole), 23):
        marker.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert looked(made).error == "", at
        assert marker.read_bytes() == whole


def test_a_lost_marker_is_written_anew_where_a_generation_proves_the_store(made: Made) -> None:
    (made.folder / MARKER).unlink()
    assert looked(made).error == ""
    for key in (FIRST, SECOND, THIRD):
        text = (made.place(key) / "manifest.json").read_text()
        (made.place(key) / "manifest.json").write_text(text.replace("home", "nome"))
    (made.folder / MARKER).unlink()
    assert f"{MARKER} is gone" in looked(made).error


def test_what_is_not_ours_is_named_and_left_alone(made: Made) -> None:
    there = {
        "holiday.jpg": made.folder / "holiday.jpg",
        "music/": made.folder / "music" / "a.ogg",
        f"{VM_UUID}/notes.txt": made.folder / VM_UUID / "notes.txt",
        f"{VM_UUID}/{FIRST}/mine.qcow2": made.place(FIRST) / "mine.qcow2",
        f"{VM_UUID}/20261101T120000Z-zzzz/": made.folder / VM_UUID / "20261101T120000Z-zzzz" / "x",
    }
    for path in there.values():
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (made.folder / "lost+found").mkdir()
    assert sorted(looked(made).strangers) == sorted(there)
    assert all(path.read_text() == "mine" for path in there.values())
    assert damaged() == set()


def test_a_lost_or_broken_manifest_is_damage_and_a_clean_look_takes_it_back(made: Made) -> None:
    manifest = made.place(SECOND) / "manifest.json"
    text = manifest.read_text()
    for content in (None, text.replace("home", "nome"), "not JSON", "[]", ""):
        manifest.unlink() if content is None else manifest.write_text(content)
        looked(made)
        assert damaged() == {SECOND}
        assert "manifest.json" in made.row(SECOND).damage
    manifest.write_text(text)
    looked(made)
    assert damaged() == set()


def test_a_generation_that_was_never_taken_in_and_cannot_be_read_is_named(made: Made) -> None:
    place = made.folder / VM_UUID / "20261119T120000Z-eeee"
    shutil.copytree(made.place(FIRST), place)
    (place / "manifest.json").write_text("{}")
    (named,) = looked(made).strangers
    assert named == f"{VM_UUID}/{place.name}/ (manifest.json is not what was written)"
    assert Generation.objects.count() == 3


@pytest.mark.parametrize("lost", [True, False])
def test_nothing_is_dropped_while_one_cannot_say_what_it_is_built_on(
    made: Made, lost: bool
) -> None:
    manifest = made.place(SECOND) / "manifest.json"
    manifest.unlink() if lost else manifest.write_text("{}")
    store_id = str(made.store.store_id)
    with (
        Pruner(Machine(PANEL), str(made.folder), panel_id(), store_id) as pruner,
        pytest.raises(ScriptRefused, match=f"The manifest of generation {SECOND}"),
    ):
        pruner.prune(VM_UUID, [FIRST], lambda _: None)
    assert shows(made, THIRD) == made.views[THIRD]

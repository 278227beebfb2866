"""A real store that is not as it should be: one clear sentence, and nothing foreign is touched."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from backups.models import Generation, Store
from backups.services.index.identity import panel_id
from backups.services.index.partial import PartialGeneration
from backups.services.stores.look_at_stores import look_at, look_at_stores
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.pruner import Pruner
from labpanel.jobs import obligations
from labpanel.jobs.models import Job
from labpanel.lib.shapes import PANEL
from labpanel.onhost.store import keeper
from labpanel.onhost.store.store_marker import write_marker
from tests.pages.factory import make_host, make_vm
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


@pytest.mark.parametrize("kind", ["link", "note"])
def test_an_odd_half_done_generation_is_named_and_the_rest_taken_in(
    made: Made, tmp_path: Path, kind: str
) -> None:
    partial = made.folder / VM_UUID / ".20261125T231500Z-abc125.partial"
    if kind == "link":
        partial.symlink_to(tmp_path)
    else:
        partial.mkdir()
        (partial / "labpanel.json").mkdir()
    store = looked(made)
    assert store.error == ""
    assert [each for each in store.strangers if partial.name in each] == [
        f"{VM_UUID}/{partial.name}"
    ]
    assert store.generations.count() == 3


@pytest.mark.parametrize("note", ["whole", "none", "empty", "torn", "unreadable"])
def test_what_a_broken_backup_left_goes_with_the_next_look(made: Made, note: str) -> None:
    """Whatever became of the note in it, on a drive that broke: the job tells that it is ours."""
    key = "20261125T231500Z-abc125"
    partial = made.folder / VM_UUID / f".{key}.partial"
    partial.mkdir()
    (partial / "vda.qcow2").write_bytes(b"half of it")
    if note == "unreadable":
        (partial / "labpanel.json").mkdir()
    elif note != "none":
        texts = {"whole": json.dumps({"panel_id": str(panel_id())}), "empty": "", "torn": '{"pan'}
        (partial / "labpanel.json").write_text(texts[note])
    job = Job.objects.create(kind="backup", title="Back up", state="running")
    obligations.write(job, PartialGeneration(None, made.store.pk, VM_UUID, key))
    looked(made)
    assert partial.exists()
    Job.objects.filter(pk=job.pk).update(state="failed")
    store = looked(made)
    assert not partial.exists()
    assert store.strangers == []


def test_what_is_wrong_with_a_vms_folder_keeps_no_half_done_generation(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file there that fails with EIO: the folder is named, and is looked into for these."""
    partial = made.folder / VM_UUID / ".20261125T231500Z-abc125.partial"
    partial.mkdir()

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(keeper, "_look_at_one", broken)
    found = keeper.seen(str(made.folder), str(panel_id()), str(made.store.store_id))
    assert [one["key"] for one in found.partials] == [partial.name[1:-8]]
    assert [one["vm_uuid"] for one in found.unread] == [VM_UUID]


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
    assert (
        named
        == f"{VM_UUID}/{place.name}/ (manifest.json is not what was written (format is missing))"
    )
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


def test_copies_that_came_before_their_vm_are_joined_with_it(made: Made) -> None:
    """A panel rebuilt from its stores: the VM's host is added later, or never."""
    Generation.objects.update(vm=None)
    look_at_stores()
    assert not Generation.objects.exclude(vm=None).exists()
    vm = make_vm(make_host("later"), "home", uuid=VM_UUID)
    look_at_stores()
    assert set(Generation.objects.values_list("vm", flat=True)) == {vm.pk}

"""What rots in one store is made whole from another, or from what is left, and proven."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from backups.models import Generation
from backups.services.index.identity import panel_id
from backups.services.proof.mend import ask_for_mend, mend, settle
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs.models import Job, JobLine
from labpanel.jobs.states import State
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import PANEL
from labpanel.lib.store_format.journal import JournalFile, Proven
from labpanel.onhost.store import manifests
from labpanel.onhost.store.journal import Journal
from tests.services.shelved import BLOCK, VM_UUID, Made, keep, made_store
from tests.services.test_verify import (
    FIRST,
    SECOND,
    THIRD,
    bads,
    damaged,
    data_offset,
    made,
    shows,
    verified,
)

__all__ = ["made"]
FAR = "20261120T120000Z-dddd"


@pytest.fixture
def far(made: Made, tmp_path: Path) -> Made:
    """Another store, with one full generation of what the third one shows."""
    other = made_store(tmp_path / "far store", "far")
    keep(other, FAR, made.views[THIRD])
    return other


def mended(key: str) -> str:
    """The sentence that a mending ends with."""
    Job.objects.update(state=State.DONE)
    job = ask_for_mend(Generation.objects.get(key=key))
    Job.objects.filter(pk=job.pk).update(state=State.RUNNING)
    job.refresh_from_db()
    try:
        return str(mend(Work(job))["sentence"])
    except Failed as failed:
        return failed.sentence
    finally:
        Job.objects.filter(pk=job.pk).update(state=State.DONE)


def all_show_what_was_backed_up(made: Made) -> bool:
    return all(shows(made, key) == view for key, view in made.views.items())


def test_rot_that_all_show_is_mended_from_another_store(made: Made, far: Made) -> None:
    made.flip(FIRST, "vda.qcow2", data_offset(made, FIRST, 9) + 10)
    assert "It is being mended (job" in verified(THIRD, 2)
    assert damaged() == {FIRST, SECOND, THIRD}
    assert "is mended" in mended(THIRD)
    assert damaged() == set()
    assert bads() == {}
    assert all_show_what_was_backed_up(made)
    for key in (FIRST, SECOND, THIRD):
        assert "is whole" in verified(key, 1)
    assert not list(made.folder.rglob("fresh-*"))
    assert not list(made.folder.rglob("journal.json"))


@pytest.mark.parametrize("name", ["vda.qcow2", "vda.digests", "manifest.json", "domain.xml"])
@pytest.mark.parametrize("lost", [True, False])
def test_each_file_of_the_newest_is_mended(made: Made, far: Made, name: str, lost: bool) -> None:
    if lost:
        (made.place(THIRD) / name).unlink()
    else:
        made.flip(THIRD, name, 5)  # of the image it is the magic: it cannot be opened
    verified(THIRD, 1)
    assert damaged() == {THIRD}
    assert "is mended" in mended(THIRD)
    assert damaged() == set()
    assert all_show_what_was_backed_up(made)


def test_metadata_that_nobody_sees_is_written_anew(made: Made) -> None:
    content = (made.place(FIRST) / "vda.qcow2").read_bytes()
    made.flip(FIRST, "vda.qcow2", int.from_bytes(content[48:56]) + 6)
    verified(FIRST, 1)
    assert damaged() == {FIRST}
    assert "is mended" in mended(FIRST)  # no other store is needed: every block is still there
    assert all_show_what_was_backed_up(made)


def test_the_same_store_helps_where_it_can(made: Made) -> None:
    keep(made, FAR, made.views[FIRST])
    made.flip(FIRST, "vda.qcow2", data_offset(made, FIRST, 0) + 10)
    assert "No other store holds this VM" in verified(FIRST, 2)
    assert "is mended" in mended(FIRST)
    assert all_show_what_was_backed_up(made)


def test_what_nobody_has_any_more_is_named(made: Made, far: Made) -> None:
    made.flip(FIRST, "vda.qcow2", data_offset(made, FIRST, 0) + 10)
    verified(FIRST, 2)
    sentence = mended(FIRST)
    assert f"no other copy has bytes 0–{BLOCK - 1} of vda any more" in sentence
    assert "The next backup to shelf sends it again." in sentence
    assert damaged() == {FIRST}
    assert shows(made, SECOND) == made.views[SECOND]


def test_a_source_that_is_rotten_itself_is_not_believed(made: Made, far: Made) -> None:
    for one, key in ((made, FIRST), (far, FAR)):
        one.flip(key, "vda.qcow2", data_offset(one, key, 9) + 10)
    verified(THIRD, 2)
    assert f"no other copy has bytes {9 * BLOCK}–{10 * BLOCK - 1} of vda" in mended(THIRD)
    assert damaged() == {FIRST, SECOND, THIRD}


def test_a_store_that_is_away_is_said(made: Made, far: Made) -> None:
    made.flip(FIRST, "vda.qcow2", data_offset(made, FIRST, 9) + 10)
    verified(THIRD, 2)
    far.folder.rename(far.folder.with_name("away"))
    assert "could not be mended" in mended(THIRD)
    lines = JobLine.objects.values_list("text", flat=True)
    assert any("The store far cannot help now" in text for text in lines)


def test_a_list_is_made_anew_by_its_root_alone(made: Made) -> None:
    made.flip(SECOND, "vda.digests", 4096 + 16 * 4)
    verified(SECOND, 2)
    assert "is mended" in mended(SECOND)
    assert damaged() == set()


def test_nothing_wrong_is_nothing_to_mend(made: Made) -> None:
    with pytest.raises(Refusal, match="verify it first"):
        ask_for_mend(made.row(FIRST))
    Generation.objects.filter(key=FIRST).update(state="missing")
    with pytest.raises(Refusal, match="gone from the store"):
        ask_for_mend(made.row(FIRST))


def test_a_kill_while_an_image_is_made_leaves_the_old_one(made: Made, far: Made) -> None:
    made.flip(THIRD, "vda.qcow2", data_offset(made, THIRD, 1) + 10)
    verified(THIRD, 2)
    old = (made.place(THIRD) / "vda.qcow2").read_bytes()
    Journal(made.folder / VM_UUID, JournalFile()).write()
    (made.place(THIRD) / "fresh-vda.qcow2").write_bytes(b"half of it")
    settle(Job.objects.get(kind="mend"))
    assert (made.place(THIRD) / "vda.qcow2").read_bytes() == old
    assert not (made.place(THIRD) / "fresh-vda.qcow2").exists()
    assert "is mended" in mended(THIRD)
    assert all_show_what_was_backed_up(made)


def test_it_waits_for_who_reads_the_same_generations(
    made: Made, far: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.flip(THIRD, "vda.qcow2", data_offset(made, THIRD, 1) + 10)
    verified(THIRD, 2)
    with Keeper(Machine(PANEL), str(made.folder), panel_id(), str(made.store.store_id)) as reader:
        reader.lock(VM_UUID, exclusive=False)
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            reader.__exit__()

        monkeypatch.setattr(
            "backups.services.index.waiting_turn.time", SimpleNamespace(sleep=sleep)
        )
        assert "is mended" in mended(THIRD)
    assert slept
    assert JobLine.objects.filter(text__startswith="Waiting for another job").count() == 1


def test_a_kill_between_proof_and_renaming_is_taken_up(made: Made, far: Made) -> None:
    made.flip(THIRD, "vda.qcow2", data_offset(made, THIRD, 1) + 10)
    verified(THIRD, 2)
    job = Job.objects.get(kind="mend")
    folder = made.folder / VM_UUID
    whole = folder / THIRD / "whole.qcow2"
    shutil.copy(folder / THIRD / "vda.qcow2", whole)
    with whole.open("r+b") as file:  # turn the bit back: this is the new image, proven
        file.seek(data_offset(made, THIRD, 1) + 10)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 0x10]))
    fresh = folder / THIRD / "fresh-vda.qcow2"
    whole.rename(fresh)
    size, digest = fresh.stat().st_size, manifests.sha256(fresh)
    proven = Proven(f"{THIRD}/fresh-vda.qcow2", SECOND, size, digest)
    Journal(folder, JournalFile(entries={THIRD: {"vda": proven}})).write()
    assert "nothing that was whole was changed" in settle(job)
    assert not fresh.exists()
    assert shows(made, THIRD) == made.views[THIRD]
    assert "is whole" in verified(THIRD, 2)

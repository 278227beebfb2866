"""Real stores with a flipped bit in each kind of place: found, named, and no innocent is marked."""

import dataclasses
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backups.models import Generation, GenerationDisk, Policy, Store
from backups.services.proof.verify import ask_for_verify, verify
from hosts.models import Finding
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.prover import Prover
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.jobs.work import Cancelled, Failed, Work
from labpanel.lib.store_format.content import ContentRead
from labpanel.onhost.store.store_marker import write_marker
from tests.pages import factory
from tests.services.shelved import BLOCK, BLOCKS, Made, keep, made_store, random_view

FIRST, SECOND, THIRD = "20261101T120000Z-aaaa", "20261108T120000Z-bbbb", "20261115T120000Z-cccc"
CLUSTER = 64 * 1024


@pytest.fixture
def made(db: None, tmp_path: Path, needs: Callable[..., None]) -> Iterator[Made]:
    """Three generations: the second rewrote blocks 0 and 4, the third block 1 and (as zeros) 4."""
    needs("qemu-img", "qemu-io", "qemu-nbd")
    found = made_store(tmp_path / "it's a $(store)")
    view = random_view(1)
    keep(found, FIRST, view)
    view = list(view)
    view[0], view[4] = random_view(2)[0], random_view(2)[3]
    keep(found, SECOND, view, FIRST)
    view = list(view)
    view[1], view[4] = random_view(3)[0], bytes(BLOCK)
    keep(found, THIRD, view, SECOND)
    yield found


def verified(key: str, level: int) -> str:
    """The sentence that a verification ends with."""
    generation = Generation.objects.get(key=key)
    job = ask_for_verify(generation, level)
    Job.objects.filter(pk=job.pk).update(state=State.RUNNING)
    job.refresh_from_db()
    try:
        return str(verify(Work(job))["sentence"])
    except Failed as failed:
        return failed.sentence
    finally:
        Job.objects.filter(pk=job.pk).update(state=State.DONE)


def states() -> dict[str, str]:
    return dict(Generation.objects.values_list("key", "state"))


def shows(made: Made, key: str) -> list[bytes]:
    """What a guest would see, block by block."""
    words = ["qemu-img", "convert", "-O", "raw", "vda.qcow2", "raw"]
    subprocess.run(words, cwd=made.place(key), check=True, timeout=60)
    raw = made.place(key) / "raw"
    content = raw.read_bytes()
    raw.unlink()
    return [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]


def bads() -> dict[str, list[list[int]]]:
    found = GenerationDisk.objects.values_list("generation__key", "bad")
    return {key: bad for key, bad in found if bad}


def damaged() -> set[str]:
    return {key for key, state in states().items() if state == "damaged"}


@pytest.mark.parametrize("level", [1, 2])
def test_a_whole_chain_is_whole(made: Made, level: int) -> None:
    for key in (FIRST, SECOND, THIRD):
        assert "is whole" in verified(key, level)
        row = made.row(key)
        assert bool(row.hashed_at) == (level == 1)
        assert bool(row.verified_at) == (level == 2)
    assert damaged() == set()


# What is flipped in the first generation, which generations show it, and the words that name it.
SMALL = [
    ("vda.digests", 20, 1),
    ("vda.digests", 4000, 2),
    ("vda.digests", 4096 + 16 * 3, 1),
    ("vda.digests", -1, 2),
    ("manifest.json", 1, 1),
    ("manifest.json", 300, 2),
    ("manifest.json", -1, 1),
    ("domain.xml", 0, 1),
    ("checkpoint.xml", 3, 2),
    ("RECOVER.txt", 5, 1),
]


@pytest.mark.parametrize(("name", "at", "level"), SMALL)
def test_a_flipped_bit_in_a_small_file(made: Made, name: str, at: int, level: int) -> None:
    made.flip(FIRST, name, at)
    sentence = verified(FIRST, level)
    assert f"is damaged: {name} is not what was written" in sentence
    assert damaged() == {FIRST}
    assert bads() == {}
    for key in (SECOND, THIRD):
        assert "is whole" in verified(key, level)
    made.flip(FIRST, name, at)
    assert "is whole" in verified(FIRST, level)
    assert damaged() == set()


def data_offset(made: Made, key: str, block: int) -> int:
    """Where the data of a block begins in an image file, by its L2 table (QEMU, qcow2.txt)."""
    content = (made.place(key) / "vda.qcow2").read_bytes()
    l1 = int.from_bytes(content[40:48])
    l2 = int.from_bytes(content[l1 : l1 + 8]) & 0x00FFFFFFFFFFFE00
    entry = int.from_bytes(content[l2 + 8 * 4 * block : l2 + 8 * 4 * block + 8])
    compressed = entry & 1 << 62
    return entry & ((1 << 54) - 1) if compressed else entry & 0x00FFFFFFFFFFFE00


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(
    ("key", "block", "showing"),
    [
        (FIRST, 9, {FIRST, SECOND, THIRD}),  # it was not rewritten
        (FIRST, 1, {FIRST, SECOND}),  # the third did
        (FIRST, 0, {FIRST}),  # the second did
        (SECOND, 0, {SECOND, THIRD}),
        (SECOND, 4, {SECOND}),
        (THIRD, 1, {THIRD}),
    ],
)
def test_rot_in_an_image_marks_those_that_show_it(
    made: Made, key: str, block: int, showing: set[str], level: int
) -> None:
    offset = data_offset(made, key, block)
    made.flip(key, "vda.qcow2", offset + 10)
    sentence = verified(key, level)
    place = f"bytes {block * BLOCK}–{(block + 1) * BLOCK - 1} of vda"
    assert "vda.qcow2" in sentence
    assert place in sentence
    assert damaged() == showing
    assert bads() == {one: [[block * BLOCK, (block + 1) * BLOCK]] for one in showing}
    for other in showing - {key}:
        assert other in sentence
        assert f"vda.qcow2 of generation {key}, which it is built on," in made.row(other).damage
        assert made.row(other).verified_at is None
    made.flip(key, "vda.qcow2", offset + 10)
    for other in showing:
        assert "is whole" in verified(other, level if other == key else 2)
    assert damaged() == set()
    assert bads() == {}


def test_rot_is_traced_from_whoever_shows_it(made: Made) -> None:
    made.flip(FIRST, "vda.qcow2", data_offset(made, FIRST, 9) + 10)
    sentence = verified(THIRD, 2)
    assert f"vda.qcow2 of generation {FIRST}, which it is built on, differs" in sentence
    assert damaged() == {FIRST, SECOND, THIRD}


WHOLE = [[0, BLOCKS * BLOCK]]


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(
    ("key", "at", "bad"),
    [
        (FIRST, 0, dict.fromkeys([FIRST, SECOND, THIRD], WHOLE)),  # the magic of qcow2
        (SECOND, 7, dict.fromkeys([SECOND, THIRD], WHOLE)),  # the version
        # Where the L1 table lies: now behind the end, so that all that it rewrote is lost.
        (SECOND, 43, {SECOND: [[0, BLOCK], [4 * BLOCK, 5 * BLOCK]], THIRD: [[0, BLOCK]]}),
    ],
)
def test_rot_in_the_header_of_an_image(
    made: Made, key: str, at: int, bad: dict[str, list[list[int]]], level: int
) -> None:
    made.flip(key, "vda.qcow2", at)
    sentence = verified(key, level)
    assert "vda.qcow2" in sentence
    assert damaged() == set(bad)
    assert bads() == bad


@pytest.mark.parametrize(
    ("region", "seen_by_reading"),
    [("header", False), ("L1", True), ("L2", True), ("refcounts", False)],
)
def test_every_part_of_qcow2_is_hashed(made: Made, region: str, seen_by_reading: bool) -> None:
    content = (made.place(FIRST) / "vda.qcow2").read_bytes()
    l1 = int.from_bytes(content[40:48])
    l2 = int.from_bytes(content[l1 : l1 + 8]) & 0x00FFFFFFFFFFFE00
    refcounts = int.from_bytes(content[48:56])
    places = {"header": 300, "L1": l1 + 5, "L2": l2 + 8 * 4 * 9 + 4, "refcounts": refcounts + 6}
    made.flip(FIRST, "vda.qcow2", places[region])
    assert "vda.qcow2 is not what was written" in verified(FIRST, 1)
    # What no reader's view shows does not touch what is built on it.
    assert damaged() == ({FIRST, SECOND, THIRD} if seen_by_reading else {FIRST})
    assert bool(bads()) == seen_by_reading


@pytest.mark.parametrize("name", ["vda.qcow2", "vda.digests", "manifest.json", "RECOVER.txt"])
def test_a_lost_file_is_named(made: Made, name: str) -> None:
    (made.place(SECOND) / name).unlink()
    assert f"{name} is gone" in verified(SECOND, 1)
    assert damaged() == ({SECOND, THIRD} if name == "vda.qcow2" else {SECOND})


def test_a_lost_list_whose_content_is_proven_by_its_root(made: Made) -> None:
    (made.place(FIRST) / "vda.digests").unlink()
    verified(FIRST, 2)
    assert bads() == {}


def test_a_lost_list_and_rotten_content(made: Made) -> None:
    (made.place(FIRST) / "vda.digests").unlink()
    made.flip(FIRST, "vda.qcow2", data_offset(made, FIRST, 9) + 10)
    verified(FIRST, 2)
    assert bads()[FIRST] == WHOLE  # there is nothing left to say which blocks it is


def test_another_generations_manifest_in_the_place(made: Made) -> None:
    text = (made.place(FIRST) / "manifest.json").read_text()
    (made.place(SECOND) / "manifest.json").write_text(text)
    assert f"manifest.json is another one's: it tells of generation {FIRST}" in verified(SECOND, 1)
    assert damaged() == {SECOND}


def emptied(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def gone(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")


def swapped(folder: Path) -> None:
    marker = folder / "labpanel-store.json"
    panel = json.loads(marker.read_text())["panel_id"]
    emptied(folder)
    write_marker(folder, panel)


@pytest.mark.parametrize("lose", [emptied, gone, swapped])
def test_a_store_that_is_not_there_is_not_damage(made: Made, lose: Callable[[Path], None]) -> None:
    lose(made.folder)
    with pytest.raises(ScriptRefused):
        verified(FIRST, 1)
    assert damaged() == set()
    assert Store.objects.get().generations.count() == 3


def test_reading_keeps_below_the_policys_speed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    caps: list[int | None] = []

    def prover(machine: Machine, store: str, cap: int | None) -> Prover:
        caps.append(cap)
        return Prover(machine, store, cap)

    monkeypatch.setattr("backups.services.proof.verify.Prover", prover)
    assert "is whole" in verified(FIRST, 1)
    vm = factory.make_vm(factory.make_host("alpha"), "home")
    Generation.objects.update(vm=vm)
    Policy.objects.create(
        name="p", is_default=True, cron="0 2 * * *", places=["far"], bytes_per_second=64 << 20
    )
    for level in (1, 2):
        assert "is whole" in verified(FIRST, level)
    assert caps == [None, 64 << 20, 64 << 20]


def test_a_file_that_cannot_be_read_is_named(made: Made) -> None:
    """A directory in a file's place: it fails as a bad sector does, with an OSError."""
    path = made.place(FIRST) / "RECOVER.txt"
    path.unlink()
    path.mkdir()
    assert "RECOVER.txt cannot be read (it is not a regular file)" in verified(FIRST, 1)
    assert damaged() == {FIRST}


def test_a_cancelled_verification_says_nothing(made: Made) -> None:
    job = ask_for_verify(made.row(FIRST), 2)
    Job.objects.filter(pk=job.pk).update(state=State.RUNNING, cancel_asked=True)
    job.refresh_from_db()
    with pytest.raises(Cancelled):
        verify(Work(job))
    assert made.row(FIRST).verified_at is None


def unread(made: Made) -> list[str]:
    found = Finding.objects.filter(kind="store-error", resolved_at=None)
    return [each.sentence for each in found.order_by("subject")]


def test_what_the_store_cannot_read_speaks_against_its_drive(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As onhost/store/prover.py says it of a file, and of blocks of a disk."""
    vm = factory.make_vm(factory.make_host("alpha"), "home")
    Generation.objects.update(vm=vm)
    real = Prover.files
    said = {"vda.qcow2": "cannot be read (Input/output error)"}

    def files(prover: Prover, uuid: str, key: str, hashes: dict[str, str], *told: object) -> object:
        found = real(prover, uuid, key, hashes)
        return {**found, **(said if key == THIRD and "vda.qcow2" in hashes else {})}

    monkeypatch.setattr(Prover, "files", files)
    assert "is damaged: vda.qcow2 cannot be read" in verified(THIRD, 1)
    (sentence,) = unread(made)
    assert sentence.startswith(
        f"The store shelf ({made.folder} on the panel’s machine) could not read {THIRD}/vda.qcow2"
    )
    hold = vm.holds.get(released_at=None)
    assert "could not read" in hold.reason
    verified(SECOND, 1)  # another generation's files say nothing of that one
    assert len(unread(made)) == 1
    monkeypatch.setattr(Prover, "files", real)
    verified(THIRD, 1)
    assert unread(made) == []


def test_blocks_that_cannot_be_read_are_named(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    vm = factory.make_vm(factory.make_host("alpha"), "home")
    Generation.objects.update(vm=vm)
    real = Prover.content

    def content(prover: Prover, *given: Any, **more: Any) -> ContentRead:
        read = real(prover, *given, **more)
        span = [[BLOCK, 2 * BLOCK]]
        return dataclasses.replace(read, bad=span, unreadable=span, root="0" * 64)

    monkeypatch.setattr(Prover, "content", content)
    verified(FIRST, 2)
    (sentence,) = unread(made)
    assert f"could not read bytes {BLOCK}–{2 * BLOCK - 1} of {FIRST}/vda.qcow2" in sentence


def test_a_flipped_bit_is_no_error_of_a_drive(made: Made) -> None:
    """It was read well: what is wrong there is the copy."""
    factory.make_host("alpha")
    made.flip(THIRD, "vda.qcow2", -100)
    verified(THIRD, 1)
    assert unread(made) == []

"""Dropping generations: what stays reads as it did, byte by byte, whatever happens on the way."""

import json
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters.ssh.machine import PYTHON, Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.pruner import Pruner
from labpanel.env import REPOSITORY
from labpanel.lib.shapes import PANEL
from tests.adapters import generations
from tests.adapters.generations import BLOCK, VM, Made, changed

Steps = list[str]


@pytest.fixture
def made(qemu: None, tmp_path: Path) -> Made:
    store = tmp_path / "it's a $(store)"
    generations.init(store)
    return Made(store, random.Random(11))


@pytest.fixture
def pruner(made: Made) -> Iterator[Pruner]:
    with Pruner(Machine(PANEL), str(made.store), "panel-one", "store-one") as opened:
        yield opened


def rows(made: Made, count: int, *, size: int = 4 * BLOCK + 1536) -> list[str]:
    """So many generations of one disk, each changed a little; their keys."""
    content, keys = bytes(size), []
    for _ in range(count):
        content = changed(made.chance, content, 3)
        keys.append(made.add({"vda": content}))
    return keys


def prune(pruner: Pruner, made: Made, drop: list[str]) -> Steps:
    """Drop them, look that the rest is as it was; what was said to be done."""
    stay = [key for key in made.listed() if key not in drop]
    steps: Steps = []

    def told(event: dict[str, Any]) -> None:
        if event["event"] == "step":
            steps.append(event["text"])

    done = pruner.prune(VM, drop, told)
    assert sorted(done.dropped) == sorted(drop)
    assert made.listed() == stay
    made.assert_sound(stay)
    assert sorted(path.name for path in made.folder.iterdir()) == [".lock", *stay]
    return steps


def parents(made: Made) -> dict[str, str | None]:
    return {key: made.manifest(key)["disks"][0]["parent"] for key in made.listed()}


@pytest.mark.parametrize("places", [[1], [0, 1], [1, 2], [0, 2], [0, 1, 2], [1, 3]])
def test_any_may_go(pruner: Pruner, made: Made, places: list[int]) -> None:
    keys = rows(made, 4)
    before = {key: made.manifest(key)["content"] for key in keys}
    prune(pruner, made, [keys[place] for place in places])
    stay = made.listed()
    assert parents(made) == dict(zip(stay, [None, *stay], strict=False))
    assert {key: made.manifest(key)["content"] for key in stay} == {
        key: before[key] for key in stay
    }


def test_the_newest_goes_without_any_reading(pruner: Pruner, made: Made) -> None:
    keys = rows(made, 3)
    assert prune(pruner, made, [keys[2]]) == []


def test_all_may_go(pruner: Pruner, made: Made) -> None:
    assert prune(pruner, made, rows(made, 2)) == []


def test_disks_have_parents_of_their_own(pruner: Pruner, made: Made) -> None:
    """vdb is not in the second, vdc comes with the third and is gone again in the fourth."""
    a, b, c = (changed(made.chance, bytes(4 * BLOCK), 4) for _ in range(3))
    keys = [made.add({"vda": a, "vdb": b})]
    keys.append(made.add({"vda": changed(made.chance, a, 2)}))
    keys.append(made.add({"vda": a, "vdb": changed(made.chance, b, 1), "vdc": c}))
    keys.append(made.add({"vda": b, "vdb": b}))
    keys.append(made.add({"vda": b, "vdb": a, "vdc": changed(made.chance, c, 1)}))
    prune(pruner, made, [keys[0], keys[2]])
    prune(pruner, made, [keys[3]])


@pytest.mark.parametrize("sizes", [(4, 6, 5), (6, 3, 6)])
@pytest.mark.parametrize("place", [0, 1])
def test_disks_that_were_resized(
    pruner: Pruner, made: Made, sizes: tuple[int, ...], place: int
) -> None:
    """Also to within a block, where the last one is short."""
    keys = []
    for number, blocks in enumerate(sizes):
        keys.append(made.add({"vda": made.chance.randbytes(blocks * BLOCK + 512 * number)}))
    prune(pruner, made, [keys[place]])


def test_a_disk_that_became_zeros_stays_zeros(pruner: Pruner, made: Made) -> None:
    full, empty = made.chance.randbytes(3 * BLOCK), bytes(3 * BLOCK)
    keys = [made.add({"vda": content}) for content in (full, full, empty, full, empty)]
    prune(pruner, made, [keys[3]])
    prune(pruner, made, [keys[1]])
    prune(pruner, made, [keys[0]])


def test_two_children_of_one_that_goes(pruner: Pruner, made: Made) -> None:
    """The second and the third both back on the first: a damaged parent was passed over."""
    contents = [made.chance.randbytes(4 * BLOCK) for _ in range(4)]
    first = made.add({"vda": contents[0]})
    second = made.add({"vda": changed(made.chance, contents[0], 2)}, {"vda": first})
    third = made.add({"vda": changed(made.chance, contents[0], 2)}, {"vda": first})
    made.add({"vda": contents[3]}, {"vda": second})
    prune(pruner, made, [first])
    assert parents(made)[third] == second


def rot(made: Made, key: str, file: str, at: int) -> None:
    path = made.folder / key / file
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "rotten", "going"),
    [
        *(("vda.digests", 1, 0), ("vda.qcow2", 1, 0), ("vda.digests", 2, 1), ("vda.qcow2", 2, 1)),
        *(("vda.digests", 0, 0), ("vda.qcow2", 0, 0), ("vda.digests", 0, 1), ("vda.qcow2", 0, 1)),
    ],
)
def test_what_cannot_be_proven_is_not_merged(
    pruner: Pruner, made: Made, file: str, rotten: int, going: int
) -> None:
    """Three full rewrites of a disk: each image holds every block itself, so only the one that
    stays matters. Nothing is lost by a refusal."""
    keys = [made.add({"vda": made.chance.randbytes(4 * BLOCK)}) for _ in range(3)]
    rot(made, keys[rotten], file, -1 if file == "vda.digests" else -100)
    files = {path: path.read_bytes() for path in made.folder.glob("*/*")}
    child = going + 1
    if rotten == child:
        with pytest.raises(ScriptRefused) as refused:
            pruner.prune(VM, [keys[going]], lambda _: None)
        assert refused.value.code == "damaged"
        assert {path: path.read_bytes() for path in made.folder.glob("*/*")} == files
        assert not (made.folder / "journal.json").exists()
    else:
        pruner.prune(VM, [keys[going]], lambda _: None)
        assert keys[going] not in made.listed()
        made.assert_as_it_was([keys[child]])


def test_what_is_not_there_is_no_trouble(pruner: Pruner, made: Made) -> None:
    keys = rows(made, 2)
    assert pruner.prune(VM, ["20261101T000000Z-ffffff"], lambda _: None).dropped == []
    assert made.listed() == keys


def test_while_one_cannot_say_what_it_is_built_on_nothing_goes(pruner: Pruner, made: Made) -> None:
    keys = rows(made, 3)
    rot(made, keys[2], "manifest.json", -20)
    for going in keys:
        with pytest.raises(
            ScriptRefused, match="cannot be read, so what it is built on is unknown"
        ):
            pruner.prune(VM, [going], lambda _: None)
    made.assert_as_it_was(keys)
    assert not (made.folder / "journal.json").exists()


def test_somebody_who_reads_is_not_disturbed(pruner: Pruner, made: Made) -> None:
    keys = rows(made, 2)
    with Keeper(Machine(PANEL), str(made.store), "panel-one", "store-one") as reader:
        reader.lock(VM, exclusive=False)
        with pytest.raises(ScriptRefused) as refused:
            pruner.prune(VM, [keys[0]], lambda _: None)
        assert refused.value.code == "busy"
    assert made.listed() == keys


def test_what_others_put_there_stays(pruner: Pruner, made: Made) -> None:
    keys = rows(made, 3)
    theirs = made.folder / keys[1] / "notes of the owner.txt"
    theirs.write_text("dear diary")
    done = pruner.prune(VM, [keys[1]], lambda _: None)
    assert done.left == [str(theirs)]
    assert [path.name for path in theirs.parent.iterdir()] == [theirs.name]
    made.assert_sound([keys[0], keys[2]])


def test_a_journal_that_rotted_is_not_followed(pruner: Pruner, made: Made) -> None:
    keys = rows(made, 2)
    (made.folder / "journal.json").write_text(json.dumps({"stage": "merging", "drop": {}}))
    with pytest.raises(ScriptRefused, match="is not what was written"):
        pruner.prune(VM, [keys[0]], lambda _: None)
    made.assert_sound(keys)


def killing(place: Path, shard: int) -> "subprocess.Popen[str]":
    place.mkdir()
    return subprocess.Popen(
        [PYTHON, "-m", "tests.adapters.killing", str(place), str(shard), "2"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_killed_at_every_step_it_is_taken_up(qemu: None, tmp_path: Path) -> None:
    """See killing.py: some forty steps, each with a second kill while the first is taken up."""
    shards = [killing(tmp_path / f"shard{number}", number) for number in range(2)]
    for shard in shards:
        said, _ = shard.communicate(timeout=250)
        assert shard.returncode == 0, said[-3000:]
        assert int(said.splitlines()[-1].split()[2]) > 20


@pytest.fixture
def small(qemu: None, tmp_path: Path) -> Iterator[Made]:
    """A store on a file system of its own, with little room."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "labpanel-test", str(place)]
    subprocess.run(mount, check=True, timeout=20)
    try:
        generations.init(place / "store")
        yield Made(place / "store", random.Random(11))
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=20)


def full(made: Made, free: int) -> Path:
    """A file of another program that leaves so many bytes."""
    filler = made.store.parent / "filler"
    status = os.statvfs(made.store)
    filler.write_bytes(bytes(status.f_bavail * status.f_frsize - free))
    return filler


_BLIND = """
import sys
from labpanel.onhost.images import exporter; from labpanel.onhost.store import pruner
from labpanel.onhost.runtime.wire import Problem
pruner._check_room = lambda *_: None
try:
    pruner.prune(sys.argv[1], "panel-one", "store-one", sys.argv[2], sys.argv[3:])
except Problem as problem:
    print(problem.code, problem.sentence)
finally:
    exporter.stop_all()
"""


@pytest.mark.parametrize(("going", "repeated"), [(0, 32), (1, 1)])
def test_a_store_that_is_full_in_the_middle_loses_nothing(
    small: Made, going: int, repeated: int
) -> None:
    """The room is not looked at beforehand, so that it really ends in the middle. What was packed
    is unpacked by a merge into the oldest; a rebuild packs what cannot be packed."""
    keys = [
        small.add(
            {
                "vda": b"".join(
                    small.chance.randbytes(BLOCK // repeated) * repeated for _ in range(6)
                )
            }
        )
        for _ in range(3)
    ]
    filler = full(small, 600 << 10)
    words = [PYTHON, "-c", _BLIND, str(small.store), VM, keys[going]]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert "\nfull The store ran full while vda of generation" in f"\n{done.stdout}", done
    filler.unlink()
    stay = [key for key in keys if key != keys[going]]
    small.assert_as_it_was(stay)
    with Pruner(Machine(PANEL), str(small.store), "panel-one", "store-one") as pruner:
        assert pruner.take_up(VM, lambda _: None) == ([keys[0]] if going == 0 else [])
        if going:
            small.assert_sound(keys)
            pruner.prune(VM, [keys[going]], lambda _: None)
    small.assert_sound(stay)
    assert sorted(path.name for path in small.folder.iterdir()) == [".lock", *stay]


@pytest.mark.parametrize("going", [0, 1])
def test_too_little_room_is_said_before_anything_is_done(small: Made, going: int) -> None:
    keys = [small.add({"vda": small.chance.randbytes(2 * BLOCK)}) for _ in range(3)]
    full(small, 600 << 10)
    with (
        Pruner(Machine(PANEL), str(small.store), "panel-one", "store-one") as pruner,
        pytest.raises(ScriptRefused, match=r"needs up to \d+ MiB of room in the store, and 0 MiB"),
    ):
        pruner.prune(VM, [keys[going]], lambda _: None)
    small.assert_sound(keys)
    assert not (small.folder / "journal.json").exists()

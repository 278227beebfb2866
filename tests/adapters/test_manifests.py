"""A manifest is read from a folder that may hold anything; each fault is one of its folder."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labpanel.lib.store_format.reading import checked
from labpanel.onhost.runtime.wire import Problem
from labpanel.onhost.store import keeper, manifests
from tests.made_manifests import KEY, PANEL_ID, STORE_ID, VM, sealed, whole, written

NEXT = "20261123T231500Z-abc123"
MADE: dict[str, Any] = whole(vm={"uuid": VM, "name": 'ho"me <é 家>'})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / VM / KEY
    place.mkdir(parents=True)
    return place / "manifest.json"


def test_every_flipped_bit_of_a_sealed_manifest_shows(path: Path) -> None:
    whole = written(MADE).encode()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        found, wrong = manifests.read(path)
        assert found is None, at
        assert wrong.startswith("manifest.json is "), at
    path.write_bytes(whole)
    assert manifests.read(path) == (checked(MADE), "")


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_cut_manifest_shows(path: Path, cut: int) -> None:
    path.write_bytes(written(MADE).encode()[:cut])
    assert manifests.read(path)[0] is None


def test_one_without_a_seal_is_from_format_1(path: Path) -> None:
    bare = {key: value for key, value in MADE.items() if key not in {"seal", "content"}}
    path.write_text(written({**bare, "format": 1}))
    assert manifests.read(path)[0] is not None
    path.write_text(written(bare))
    assert manifests.read(path)[0] is None
    path.unlink()
    assert manifests.read(path) == (None, "manifest.json is gone")


def test_a_merge_changes_the_seal_and_never_the_content() -> None:
    merged = json.loads(json.dumps(MADE))
    merged["disks"][0]["parent"] = "20261101T231500Z-abc123"
    before, after = checked(MADE).as_json(), checked(sealed(merged)).as_json()
    assert after["content"] == before["content"]
    assert after["seal"] != before["seal"]


def test_one_that_is_of_another_folder_is_named(path: Path) -> None:
    path.write_text(written(whole(NEXT)))
    assert manifests.read(path)[1].endswith(f"it tells of generation {NEXT}")
    other = {"uuid": VM.replace("1", "2"), "name": "home"}
    path.write_text(written(whole(vm=other)))
    assert "it tells of the VM 2222" in manifests.read(path)[1]
    path.write_text(written(MADE))
    assert manifests.read(path, "another-store")[1].endswith(f"for the store {STORE_ID}")


def ringed(key: str, parent: str) -> dict[str, Any]:
    made = whole(key)
    made["disks"][0]["parent"] = parent
    return sealed(made)


FAULTY: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to("/etc/hostname"),
    "a pipe": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
    "brackets": lambda path: path.write_text("[" * 100_000),
    "too large": lambda path: path.write_bytes(b" " * (5 << 20)),
    "no UTF-8": lambda path: path.write_bytes(b'{"format": "\xff"}'),
    "half a surrogate": lambda path: path.write_text(
        json.dumps({**MADE, "policy": "\ud800"}, indent=1)
    ),
    "digits": lambda path: path.write_text('{"format": ' + "9" * 5000 + "}"),
    "bare": lambda path: path.write_text('{"format":1}'),
    "a number as a file": lambda path: path.write_text('{"format":1,"disks":[{"file":5}]}'),
    "a way out": lambda path: path.write_text(
        json.dumps({**MADE, "disks": [{**MADE["disks"][0], "file": "../../../../../etc/shadow"}]})
    ),
    "target leads out": lambda path: path.write_text(
        written(sealed({**MADE, "disks": [{**MADE["disks"][0], "target": "../victim"}]}))
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_folder_is_one_entry_and_its_neighbour_stays_good(
    name: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTY[name](path)
    beside = tmp_path / VM / NEXT
    beside.mkdir()
    (beside / "vda.qcow2").write_bytes(b"1234")
    (beside / "manifest.json").write_text(written(whole(NEXT)))
    keeper.init(str(tmp_path), PANEL_ID)
    marker = json.loads((tmp_path / "labpanel-store.json").read_text())
    made = whole(NEXT, store_id=marker["store_id"])
    (beside / "manifest.json").write_text(written(made))
    keeper.look(str(tmp_path), PANEL_ID, marker["store_id"])
    (event,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    events = event["generations"]
    assert [each["key"] for each in events] == [KEY, NEXT]
    assert "manifest.json" in events[0]["damage"]
    assert "manifest" not in events[0]
    assert events[1]["manifest"] == made
    assert "damage" not in events[1]


def test_images_that_back_on_each_other_end_no_look(tmp_path: Path) -> None:
    folder = tmp_path / VM
    entries = []
    for key, parent in ((KEY, NEXT), (NEXT, KEY)):
        (folder / key).mkdir(parents=True)
        (folder / key / "vda.qcow2").write_bytes(b"1234")
        (folder / key / "manifest.json").write_text(written(ringed(key, parent)))
        entries.append(manifests.looked_at(folder / key / "manifest.json"))
    assert [entry.damage for entry in manifests.with_broken_chains(entries, [])] == [
        f"vda backs on itself by way of {KEY}",
        f"vda backs on itself by way of {NEXT}",
    ]


def test_an_image_that_is_a_link_is_named(path: Path) -> None:
    path.write_text(written(MADE))
    (path.parent / "vda.qcow2").symlink_to("/etc/hostname")
    assert manifests.looked_at(path).damage == "vda.qcow2 is not a regular file"


def test_a_folder_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    (other / KEY).mkdir(parents=True)
    store = tmp_path / "store"
    store.mkdir()
    (store / VM).symlink_to(other)
    keeper.init(str(store), PANEL_ID)
    found = keeper.look(str(store), PANEL_ID, "")
    assert found["strangers"] == [VM]
    with pytest.raises(Problem, match="is a symbolic link"):
        manifests.home(str(store), VM, KEY)

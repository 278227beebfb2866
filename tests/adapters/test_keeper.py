"""The keeper of a store, on a directory of this machine."""

import base64
import json
import os
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.machine import Machine
from labpanel.adapters.mover import Export, Mover, Tick
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.store_keeper import Keeper
from labpanel.lib.shapes import PANEL
from tests.adapters.images import BLOCK, fill, identical

VM = "11111111-2222-4333-8444-555555555555"
KEY = "20261122T231500Z-abc123"
PANEL_ID, OTHER_ID = "panel-one", "panel-two"


def ignore(_: object) -> None:
    """A progress that nobody looks at."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    place = tmp_path / "it's a $(store)"
    place.mkdir()
    return place


@pytest.fixture
def keeper(qemu: None, store: Path) -> Iterator[Keeper]:
    with Keeper(Machine(PANEL), str(store), PANEL_ID) as first:
        store_id = first.init()["store_id"]
    with Keeper(Machine(PANEL), str(store), PANEL_ID, store_id) as opened:
        yield opened


def keep(keeper: Keeper, images: ImageHost, mover: Mover, source: Path) -> dict[str, Any]:
    """A whole generation of one disk, as a backup makes it."""
    size = images.virtual_bytes(str(source), "raw")
    files = keeper.begin(VM, KEY, [{"target": "vda", "virtual_bytes": size}])
    near = images.serve("vda", str(source), "raw", writable=False)
    stored = keeper.serve_bytes("vda", files["vda"])
    packing = images.serve_compressing("vda", stored, "vda")
    moved = mover.copy(Export(near, "vda"), Export(packing, "vda"), watch="", told=ignore)
    for socket in (packing, near):
        images.stop(socket)
    keeper.stop(stored)
    digests = keeper.put_digests(VM, KEY, "vda", moved.virtual_bytes, moved.digests)
    manifest = {
        "generation": KEY,
        "vm": {"uuid": VM, "name": "home"},
        "disks": [
            {
                "target": "vda",
                "file": "vda.qcow2",
                "virtual_bytes": moved.virtual_bytes,
                "digests": digests,
                "root": moved.root,
            }
        ],
    }
    return keeper.finish(VM, KEY, manifest, {"domain.xml": "<domain/>", "nvram.fd": "hex:00ff"})


@pytest.fixture
def kept(
    keeper: Keeper, images: ImageHost, mover: Mover, tmp_path: Path
) -> tuple[Path, dict[str, Any]]:
    source = tmp_path / "source.raw"
    fill(source, 12, seed=7, tail=1536)  # the disk ends within a cluster
    return source, keep(keeper, images, mover, source)


def test_a_generation_is_plain_qcow2(
    kept: tuple[Path, dict[str, Any]], keeper: Keeper, store: Path
) -> None:
    source, manifest = kept
    image = store / VM / KEY / "vda.qcow2"
    subprocess.run(["qemu-img", "check", "-q", str(image)], check=True, timeout=30)
    assert identical(source, image)
    assert image.stat().st_size == manifest["disks"][0]["file_bytes"]
    assert json.loads((store / VM / KEY / "manifest.json").read_text()) == manifest
    assert [entry["manifest"] for entry in keeper.look()["generations"]] == [manifest]
    assert (store / VM / KEY).stat().st_mode & 0o077 == 0


def test_files_that_rot_are_named(
    kept: tuple[Path, dict[str, Any]], keeper: Keeper, store: Path
) -> None:
    _, manifest = kept
    hashes = {"vda.qcow2": manifest["disks"][0]["sha256"], **manifest["files"]}
    assert keeper.rehash(VM, KEY, hashes, ignore) == []
    with (store / VM / KEY / "vda.qcow2").open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(b"rot")
    (store / VM / KEY / "domain.xml").unlink()
    assert keeper.rehash(VM, KEY, hashes, ignore) == [
        "vda.qcow2 is not what was written",
        "domain.xml is gone",
    ]


def test_content_that_rots_is_found_by_block(
    kept: tuple[Path, dict[str, Any]], keeper: Keeper, mover: Mover, store: Path
) -> None:
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", f"write -P 77 {3 * BLOCK} 512", "vda.qcow2"],
        cwd=store / VM / KEY,
        check=True,
        capture_output=True,
        timeout=30,
    )
    socket = keeper.serve("vda", keeper.path_of(VM, KEY, "vda.qcow2"))
    digests = keeper.path_of(VM, KEY, "vda.digests")
    told: list[Tick] = []
    moved = mover.check(Export(socket, "vda"), digests, told=told.append)
    assert moved.bad == [[3 * BLOCK, 4 * BLOCK]]


def test_a_look_sees_what_is_short_or_unreadable(
    kept: tuple[Path, dict[str, Any]], keeper: Keeper, store: Path
) -> None:
    os.truncate(store / VM / KEY / "vda.qcow2", 1000)
    assert "has 1000 bytes" in keeper.look()["generations"][0]["damage"]
    (store / VM / KEY / "manifest.json").write_text('{"disks": [{}]}')
    assert "manifest.json" in keeper.look()["generations"][0]["damage"]
    (store / VM / KEY / "manifest.json").write_text("not JSON")
    assert "manifest.json" in keeper.look()["generations"][0]["damage"]


def test_half_done_generations_count_for_nothing(keeper: Keeper, store: Path) -> None:
    keeper.begin(VM, KEY, [{"target": "vda", "virtual_bytes": BLOCK}])
    seen = keeper.look()
    assert seen["generations"] == []
    assert seen["partials"] == [{"key": KEY, "vm_uuid": VM}]
    assert keeper.manifest(VM, KEY) is None
    assert keeper.drop(VM, KEY)
    assert not keeper.drop(VM, KEY)
    assert keeper.look()["partials"] == []


def refusal(store: Path, panel_id: str = PANEL_ID, store_id: str = "") -> str:
    with (
        Keeper(Machine(PANEL), str(store), panel_id, store_id) as opened,
        pytest.raises(ScriptRefused) as refused,
    ):
        opened.look() if store_id else opened.init()
    return refused.value.code


def test_what_cannot_be_a_store_is_told_apart(keeper: Keeper, store: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == "missing"
    assert refusal(store, OTHER_ID) == "foreign"
    assert refusal(store, PANEL_ID, "another-id") == "swapped"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refusal(empty, PANEL_ID, "some-id") == "not-a-store"
    assert refusal(Path("/proc")) == "not-writable"
    with Keeper(Machine(PANEL), "var/store", PANEL_ID) as opened, pytest.raises(ScriptRefused):
        opened.init()


def test_a_full_store_is_refused(qemu: None) -> None:
    assert refusal(Path("/dev/full/..")) in {"not-writable", "missing", "full", "os"}


def test_another_panels_half_done_generation_is_left_alone(keeper: Keeper, store: Path) -> None:
    keeper.begin(VM, KEY, [{"target": "vda", "virtual_bytes": BLOCK}])
    with (
        Keeper(Machine(PANEL), str(store), OTHER_ID) as other,
        pytest.raises(ScriptRefused, match="another panel"),
    ):
        other.drop(VM, KEY)
    assert (store / VM / f".{KEY}.partial").is_dir()


def test_a_store_can_be_taken_over(keeper: Keeper, store: Path) -> None:
    with Keeper(Machine(PANEL), str(store), OTHER_ID) as other:
        marker = other.init(take_over=True)
    assert marker["panel_id"] == OTHER_ID
    assert marker["store_id"] == json.loads((store / "labpanel-store.json").read_text())["store_id"]


@pytest.mark.parametrize(
    ("uuid", "key", "target"),
    [
        ("../../etc", KEY, "vda"),
        (VM, "../20261122T231500Z-abc123", "vda"),
        (VM, KEY, "../vda"),
        (VM, KEY, "$(touch x)"),
    ],
)
def test_names_cannot_lead_out_of_the_store(
    keeper: Keeper, store: Path, uuid: str, key: str, target: str
) -> None:
    with pytest.raises(ScriptRefused):
        keeper.begin(uuid, key, [{"target": target, "virtual_bytes": BLOCK}])
    assert not list(store.glob("**/*.qcow2"))


def test_a_digest_list_is_written_once(keeper: Keeper) -> None:
    keeper.begin(VM, KEY, [{"target": "vda", "virtual_bytes": BLOCK}])
    packed = base64.b64encode(zlib.compress(bytes(16))).decode()
    keeper.put_digests(VM, KEY, "vda", BLOCK, packed)
    with pytest.raises(ScriptRefused):
        keeper.put_digests(VM, KEY, "vda", BLOCK, packed)

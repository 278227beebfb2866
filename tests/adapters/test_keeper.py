"""The keeper of a store, on a directory of this machine."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export, Mover, Saved
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.prover import Prover
from labpanel.lib.hints import EVERYTHING, FULL, UNCHANGED, Hint
from labpanel.lib.shapes import PANEL
from labpanel.lib.store_format.found import AskedDisk, BegunDisk
from tests.adapters.images import BLOCK, fill, identical
from tests.made_manifests import asked_disk, draft, sealed, written

VM = "11111111-2222-4333-8444-555555555555"
KEY, NEXT, LAST = "20261122T231500Z-abc123", "20261123T231500Z-abc123", "20261124T231500Z-abc123"
PANEL_ID, OTHER_ID = "panel-one", "panel-two"


def ignore(_: object) -> None:
    """Progress that is not looked at."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    place = tmp_path / "it's a $(store)"
    place.mkdir()
    return place


@pytest.fixture
def keeper(qemu: None, store: Path) -> Iterator[Keeper]:
    with Keeper(Machine(PANEL), str(store), PANEL_ID) as first:
        store_id = first.init()
    with Keeper(Machine(PANEL), str(store), PANEL_ID, store_id) as opened:
        yield opened


@dataclass
class Source:
    """What plays the source host of the backups: its programs."""

    keeper: Keeper
    images: ImageHost
    mover: Mover
    prover: Prover
    known: dict[str, tuple[str, int]] = field(default_factory=dict)  # roots, and sizes

    def keep(
        self, image: Path, key: str = KEY, *, parent: str = "", hint: Hint = EVERYTHING
    ) -> dict[str, Any]:
        """A whole generation of one raw disk, as a backup makes it."""
        size = self.images.virtual_bytes(str(image), "raw")
        known, length = self.known.get(parent, ("", 0))
        disk = AskedDisk("vda", size, parent, known)
        begun = self.keeper.begin(VM, key, [disk])["vda"]
        hint = hint if begun.parent else Hint(FULL, begun.why)
        saved = self.fill(image, begun, hint, known if length == size else "")
        one = asked_disk(
            "vda",
            saved.virtual_bytes,
            parent=begun.parent or None,
            copied_bytes=saved.written_bytes,
            why=hint.why,
        )
        manifest = draft(key, [one], store_id=self.keeper._store_id, panel_id=PANEL_ID)
        files = {"domain.xml": "<domain/>", "nvram.fd": "hex:00ff"}
        made = self.keeper.finish(VM, key, manifest, files)
        assert saved.root == made.disks[0].root
        self.known[key] = (saved.root, size)
        return self.keeper.publish(VM, key, made).as_json()

    def fill(self, image: Path, begun: BegunDisk, hint: Hint, root: str = "") -> Saved:
        near = self.images.serve("vda", str(image), "raw", writable=False)
        stored = self.keeper.serve_bytes("vda", begun.image)
        listed = self.keeper.serve_bytes("digests", begun.digests)
        packing = self.images.serve_compressing("vda", stored, "vda")
        saved = self.mover.back_up(
            Export(near, "vda"),
            Export(packing.socket, "vda"),
            Export(listed, "digests"),
            hint=hint,
            plain=packing.plain,
            root=root,
            on_progress=ignore,
        )
        for socket in (packing.socket, near):
            self.images.stop(socket)
        for socket in (listed, stored):
            self.keeper.stop(socket)
        return saved

    def bad(self, key: str) -> list[list[int]]:
        """Level 2 of a generation: ranges that are not as backed up."""
        socket = self.keeper.serve("vda", self.keeper.path_of(VM, key, "vda.qcow2"))
        digests = self.keeper.path_of(VM, key, "vda.digests")
        found = self.prover.content(Export(socket, "vda"), digests, on_progress=ignore)
        self.keeper.stop(socket)
        return found.bad


@pytest.fixture
def at_source(keeper: Keeper, images: ImageHost, mover: Mover, prover: Prover) -> Source:
    return Source(keeper, images, mover, prover)


@pytest.fixture
def kept(at_source: Source, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    source = tmp_path / "source.raw"
    fill(source, 12, seed=7, tail=1536)  # the disk ends within a cluster
    return source, at_source.keep(source)


def test_a_generation_is_plain_qcow2(
    kept: tuple[Path, dict[str, Any]], keeper: Keeper, store: Path
) -> None:
    source, manifest = kept
    image = store / VM / KEY / "vda.qcow2"
    subprocess.run(["qemu-img", "check", "-q", str(image)], check=True, timeout=30)
    assert identical(source, image)
    assert image.stat().st_size == manifest["disks"][0]["file_bytes"]
    assert json.loads((store / VM / KEY / "manifest.json").read_text()) == manifest
    (entry,) = keeper.look().entries
    assert entry.manifest is not None
    assert entry.manifest.as_json() == manifest
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
    kept: tuple[Path, dict[str, Any]], keeper: Keeper, prover: Prover, store: Path
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
    found = prover.content(Export(socket, "vda"), digests, on_progress=ignore)
    assert found.bad == [[3 * BLOCK, 4 * BLOCK]]


def test_a_look_sees_what_is_short_or_unreadable(
    kept: tuple[Path, dict[str, Any]], keeper: Keeper, store: Path
) -> None:
    os.truncate(store / VM / KEY / "vda.qcow2", 1000)
    assert "has 1000 bytes" in keeper.look().entries[0].damage
    for text in ('{"disks": [{}]}', "not JSON"):
        (store / VM / KEY / "manifest.json").write_text(text)
        assert "manifest.json" in keeper.look().entries[0].damage


def test_half_done_generations_count_for_nothing(keeper: Keeper, store: Path) -> None:
    keeper.begin(VM, KEY, [AskedDisk("vda", BLOCK)])
    seen = keeper.look()
    assert seen.entries == ()
    assert seen.partials == ((VM, KEY),)
    assert keeper.manifest(VM, KEY) is None
    assert keeper.drop(VM, KEY)
    assert not keeper.drop(VM, KEY)
    assert keeper.look().partials == ()


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
    keeper.begin(VM, KEY, [AskedDisk("vda", BLOCK)])
    with (
        Keeper(Machine(PANEL), str(store), OTHER_ID) as other,
        pytest.raises(ScriptRefused, match="another panel"),
    ):
        other.drop(VM, KEY)
    assert (store / VM / f".{KEY}.partial").is_dir()


def test_a_store_can_be_taken_over(keeper: Keeper, store: Path) -> None:
    with Keeper(Machine(PANEL), str(store), OTHER_ID) as other:
        store_id = other.init(take_over=True)
    marker = json.loads((store / "labpanel-store.json").read_text())
    assert (marker["panel_id"], marker["store_id"]) == (OTHER_ID, store_id)


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
        keeper.begin(uuid, key, [AskedDisk(target, BLOCK)])
    assert not list(store.glob("**/*.qcow2"))


def altered(image: Path) -> None:
    """Change a block, make a block of data zeros, and fill one that was zeros."""
    content = image.read_bytes()
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    data = next(n for n, block in enumerate(blocks) if any(block))
    other = next(n for n, block in enumerate(blocks) if any(block) and n > data)
    zero = next(n for n, block in enumerate(blocks) if not any(block))
    with image.open("r+b") as file:
        for block, piece in ((data, b"changed"), (other, bytes(BLOCK)), (zero, b"no more zeros")):
            file.seek(block * BLOCK)
            file.write(piece)


def test_an_incremental_holds_what_changed_and_reads_through_its_parent(
    kept: tuple[Path, dict[str, Any]], at_source: Source, store: Path, tmp_path: Path
) -> None:
    source, first = kept
    before = tmp_path / "before.raw"
    before.write_bytes(source.read_bytes())
    altered(source)
    second = at_source.keep(source, NEXT, parent=KEY)
    assert second["disks"][0]["parent"] == KEY
    assert second["disks"][0]["copied_bytes"] == 2 * BLOCK
    assert second["disks"][0]["file_bytes"] < first["disks"][0]["file_bytes"] // 2
    assert identical(source, store / VM / NEXT / "vda.qcow2")
    assert identical(before, store / VM / KEY / "vda.qcow2")
    assert at_source.bad(KEY) == at_source.bad(NEXT) == []
    assert second["content"] != first["content"]


@pytest.mark.parametrize("blocks", [9, 12, 30])
def test_a_disk_that_grew_or_shrank_goes_on(
    kept: tuple[Path, dict[str, Any]], at_source: Source, store: Path, blocks: int
) -> None:
    source, _ = kept
    with source.open("r+b") as file:
        file.truncate(blocks * BLOCK - 512)
    for key, parent in ((NEXT, KEY), (LAST, NEXT)):
        at_source.keep(source, key, parent=parent)
        assert identical(source, store / VM / key / "vda.qcow2")
        assert at_source.bad(key) == []
        with source.open("r+b") as file:
            file.truncate(40 * BLOCK)
    assert at_source.bad(KEY) == []


def test_a_chain_moved_elsewhere_still_reads(
    kept: tuple[Path, dict[str, Any]], at_source: Source, store: Path, tmp_path: Path
) -> None:
    source, _ = kept
    altered(source)
    at_source.keep(source, NEXT, parent=KEY)
    shutil.copytree(store / VM, tmp_path / "elsewhere")
    assert identical(source, tmp_path / "elsewhere" / NEXT / "vda.qcow2")


def forge(place: Path) -> None:
    """Another digest in the list, and all that anybody can compute made to fit it."""
    (place / "vda.digests").write_bytes(listed := (place / "vda.digests").read_bytes()[:-1] + b"!")
    whole = json.loads((place / "manifest.json").read_text())
    whole["disks"][0]["digests"]["sha256"] = hashlib.sha256(listed).hexdigest()
    (place / "manifest.json").write_text(written(sealed(whole)))


def test_a_list_that_others_write_while_it_is_filled_is_refused(
    kept: tuple[Path, dict[str, Any]], at_source: Source
) -> None:
    source, first = kept
    root, size = first["disks"][0]["root"], source.stat().st_size
    disk = AskedDisk("vda", size, KEY, root)
    begun = at_source.keeper.begin(VM, NEXT, [disk])["vda"]
    with Path(begun.digests).open("r+b") as file:
        file.seek(4096)
        file.write(b"forged")
    with pytest.raises(ScriptRefused, match="not the one of the parent"):
        at_source.fill(source, begun, Hint(UNCHANGED, ""), root)


@pytest.mark.parametrize("harm", ["list", "image", "manifest", "gone", "forged"])
def test_a_parent_that_cannot_serve_is_none(
    kept: tuple[Path, dict[str, Any]], at_source: Source, store: Path, harm: str
) -> None:
    source, _ = kept
    place = store / VM / KEY
    match harm:
        case "list":
            with (place / "vda.digests").open("r+b") as file:
                file.seek(-8, os.SEEK_END)
                file.write(b"rot")
        case "image":
            (place / "vda.qcow2").write_bytes(b"no image any more")
        case "manifest":
            text = (place / "manifest.json").read_text()
            (place / "manifest.json").write_text(text.replace("vda.qcow2", "vdb.qcow2"))
        case "forged":  # with a manifest that fits, by one who cannot sign
            forge(place)
        case "gone":
            shutil.rmtree(place)
    made = at_source.keep(source, NEXT, parent=KEY)
    assert made["disks"][0]["parent"] is None
    assert made["disks"][0]["why"]
    assert identical(source, store / VM / NEXT / "vda.qcow2")


def test_a_look_names_what_backs_on_a_generation_that_is_gone(
    kept: tuple[Path, dict[str, Any]], at_source: Source, keeper: Keeper, store: Path
) -> None:
    source, _ = kept
    for key, parent in ((NEXT, KEY), (LAST, NEXT)):
        at_source.keep(source, key, parent=parent)
    shutil.rmtree(store / VM / KEY)
    damages = [entry.damage for entry in keeper.look().entries]
    assert damages == [f"vda backs on generation {KEY}, which is gone"] * 2


def test_a_flipped_byte_in_a_manifest_is_seen(
    kept: tuple[Path, dict[str, Any]], keeper: Keeper, store: Path
) -> None:
    path = store / VM / KEY / "manifest.json"
    path.write_text(path.read_text().replace('"home"', '"hole"'))
    damage = keeper.look().entries[0].damage
    assert damage == "manifest.json is not what was written (its seal does not fit what it says)"


def test_who_changes_generations_is_alone(keeper: Keeper, store: Path) -> None:
    def other() -> Keeper:
        return Keeper(Machine(PANEL), str(store), PANEL_ID)

    keeper.lock(VM, exclusive=False)
    with other() as reader:
        reader.lock(VM, exclusive=False)
        with pytest.raises(ScriptRefused, match="being worked on") as refused:
            reader.lock(VM, exclusive=True)
    assert refused.value.code == "busy"
    keeper.lock(VM, exclusive=True)
    with other() as reader, pytest.raises(ScriptRefused, match="being worked on"):
        reader.lock(VM, exclusive=False)


def test_nothing_is_left_of_a_first_backup_that_failed(keeper: Keeper, store: Path) -> None:
    keeper.lock(VM, exclusive=False)
    keeper.begin(VM, KEY, [AskedDisk("vda", BLOCK)])
    keeper.drop(VM, KEY)
    assert not (store / VM).exists()
    keeper.lock(VM, exclusive=False)
    assert (store / VM / ".lock").exists()

"""A store that the version before manifests were values wrote: it is read, extended, verified,
pruned and restored by this one, with QEMU's real tools.

The two archives were made by tests/data/record_old_store with the programs of that version.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export, Mover
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.prover import Prover
from labpanel.adapters.store.pruner import Pruner
from labpanel.lib.hints import READ, Hint
from labpanel.lib.shapes import PANEL
from labpanel.lib.store_format.found import AskedDisk
from labpanel.lib.store_format.manifest import Manifest
from labpanel.lib.store_format.reading import parse
from labpanel.lib.store_format.signature import SignatureVerdict, judge, signed
from tests.made_manifests import asked_disk, draft, identity_digest

DATA = Path(__file__).parents[1] / "data"
VM, PANEL_ID, SIGNING = "11111111-2222-4333-8444-555555555555", "panel-one", bytes(range(32))
FIRST, SECOND, THIRD, FOURTH = (f"2026112{day}T231500Z-abc123" for day in (1, 2, 3, 4))
HALF, NEW = "20261125T231500Z-abc123", "20261126T231500Z-abc123"
KEYS = [FIRST, SECOND, THIRD, FOURTH]
BLOCK, BLOCKS, TAIL = 256 * 1024, 8, 1536
SIZE = BLOCKS * BLOCK + TAIL


def content(generation: int) -> bytes:
    """What the disk held: each generation changes three blocks more (as in record_old_store)."""
    found = []
    for block in range(BLOCKS):
        since = max([0, *(age for age in range(generation + 1) if block in changed(age))])
        text = f"{since} {block} the quick brown fox\n".encode()
        found.append(bytes(BLOCK) if (since + block) % 4 == 3 else (text * BLOCK)[:BLOCK])
    return b"".join(found) + (f"end {generation}".encode() * TAIL)[:TAIL]


def changed(age: int) -> set[int]:
    return {(age * 3 + step) % BLOCKS for step in range(3)}


HELD = {key: content(number) for number, key in enumerate(KEYS)}


def unpacked(name: str, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "-xJf", str(DATA / name), "-C", str(folder)], check=True, timeout=60)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return unpacked("old_store.tar.xz", tmp_path / "store")


def store_id(store: Path) -> str:
    return str(json.loads((store / "labpanel-store.json").read_text())["store_id"])


@pytest.fixture
def keeper(qemu: None, store: Path) -> Iterator[Keeper]:
    with Keeper(Machine(PANEL), str(store), PANEL_ID, store_id(store)) as opened:
        yield opened


def manifest(store: Path, key: str) -> Manifest:
    return parse((store / VM / key / "manifest.json").read_bytes())


def shown(store: Path, key: str, scratch: Path) -> bytes:
    """What a guest would read of the disk."""
    image, raw = store / VM / key / "vda.qcow2", scratch / f"{key}.raw"
    words = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(image), str(raw)]
    subprocess.run(words, check=True, timeout=60)
    return raw.read_bytes()


def test_it_is_read_as_it_was_written(store: Path, keeper: Keeper) -> None:
    seen = keeper.look()
    assert [entry.key for entry in seen.entries] == KEYS
    assert [entry.damage for entry in seen.entries] == [""] * 4
    assert seen.partials == ((VM, HALF),)
    assert (seen.strangers, seen.pruned, dict(seen.unread)) == ((), (), {})
    for entry in seen.entries:
        raw = (store / VM / entry.key / "manifest.json").read_bytes()
        assert entry.manifest == parse(raw)
        assert entry.manifest is not None
        assert entry.manifest.written() == raw
        assert judge(entry.manifest, SIGNING) is SignatureVerdict.OURS
        assert entry.manifest.identity_digest == identity_digest(json.loads(raw))
        assert entry.manifest.is_sealed
    assert [manifest(store, key).disks[0].parent for key in KEYS] == ["", FIRST, SECOND, THIRD]
    assert keeper.drop(VM, HALF)
    assert keeper.look().partials == ()


def test_it_is_verified_at_both_levels(store: Path, keeper: Keeper) -> None:
    with Prover(Machine(PANEL), str(store)) as prover:
        for key in KEYS:
            found, wrong = prover.manifest(VM, key)
            assert (found, wrong) == (manifest(store, key), "")
            (disk,) = manifest(store, key).disks
            hashes = {disk.file: disk.sha256, disk.list_file: disk.list_sha256}
            assert prover.files(VM, key, {**hashes, **manifest(store, key).digests_of_files}) == {}
            assert proven(keeper, prover, key) == ([], disk.root)
        flip(store / VM / THIRD / "vda.digests")
        (disk,) = manifest(store, THIRD).disks
        assert prover.files(VM, THIRD, {disk.list_file: disk.list_sha256}) != {}


def proven(keeper: Keeper, prover: Prover, key: str) -> tuple[list[list[int]], str]:
    socket = keeper.serve("vda", keeper.path_of(VM, key, "vda.qcow2"))
    try:
        read = prover.content(Export(socket, "vda"), keeper.path_of(VM, key, "vda.digests"))
    finally:
        keeper.stop(socket)
    return read.bad, read.root


def flip(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 0x10
    path.write_bytes(whole)


def test_it_is_extended_and_then_pruned(
    store: Path, keeper: Keeper, images: ImageHost, mover: Mover, tmp_path: Path
) -> None:
    fresh = HELD[FOURTH][: 2 * BLOCK] + b"new" * 1000 + HELD[FOURTH][2 * BLOCK + 3000 :]
    (tmp_path / "home.raw").write_bytes(fresh)
    added = extend(keeper, images, mover, tmp_path / "home.raw", manifest(store, FOURTH))
    assert added.disks[0].parent == FOURTH
    assert added.disks[0].copied_bytes <= BLOCK
    before = {key: manifest(store, key) for key in (THIRD, FOURTH)}
    with Pruner(Machine(PANEL), str(store), PANEL_ID, store_id(store)) as pruner:
        done = pruner.prune(VM, [FIRST, SECOND, FOURTH], lambda _: None)
    assert set(done.dropped) == {FIRST, SECOND, FOURTH}
    assert done.left == []
    assert [entry.key for entry in keeper.look().entries] == [THIRD, NEW]
    kept = manifest(store, THIRD)
    assert (kept.content, kept.disks[0].parent) == (before[THIRD].content, "")
    assert manifest(store, NEW).disks[0].parent == THIRD
    for key, held in ((THIRD, HELD[THIRD]), (NEW, fresh)):
        assert judge(manifest(store, key), SIGNING) is SignatureVerdict.OURS
        assert shown(store, key, tmp_path) == held
    assert keeper.look().entries[0].damage == ""


def extend(
    keeper: Keeper, images: ImageHost, mover: Mover, raw: Path, parent: Manifest
) -> Manifest:
    """One more generation, on top of one of the older version's."""
    root = parent.disks[0].root
    begun = keeper.begin(VM, NEW, [AskedDisk("vda", SIZE, parent.generation, root)])["vda"]
    assert (begun.parent, begun.why) == (parent.generation, "")
    near = images.serve("vda", str(raw), "raw", writable=False)
    stored, listed = (
        keeper.serve_bytes("vda", begun.image),
        keeper.serve_bytes("digests", begun.digests),
    )
    packing = images.serve_compressing("vda", stored, "vda")
    saved = mover.back_up(
        Export(near, "vda"),
        Export(packing.socket, "vda"),
        Export(listed, "digests"),
        hint=Hint(READ, ""),
        plain=packing.plain,
        root=root,
        on_progress=lambda _: None,
    )
    for socket in (packing.socket, near):
        images.stop(socket)
    for socket in (listed, stored):
        keeper.stop(socket)
    one = asked_disk(
        "vda", SIZE, parent=begun.parent, root=saved.root, copied_bytes=saved.written_bytes
    )
    asked = draft(NEW, [one], store_id=parent.store_id, parent=parent.generation)
    made = keeper.finish(VM, NEW, asked, {"domain.xml": "<domain/>"})
    assert made.disks[0].root == saved.root
    return keeper.publish(VM, NEW, signed(made, SIGNING))


def test_it_is_restored(
    store: Path, keeper: Keeper, images: ImageHost, mover: Mover, tmp_path: Path
) -> None:
    for key in KEYS:
        target = tmp_path / f"{key}.restored"
        images.create(str(target), "raw", SIZE)
        near = keeper.serve("vda", keeper.path_of(VM, key, "vda.qcow2"))
        far = images.serve("vda", str(target), "raw", writable=True)
        moved = mover.restore(
            Export(near, "vda"),
            Export(far, "vda"),
            keeper.path_of(VM, key, "vda.digests"),
            on_progress=lambda _: None,
        )
        keeper.stop(near)
        images.stop(far)
        assert moved.root == manifest(store, key).disks[0].root
        assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(HELD[key]).digest()


def test_a_prune_that_broke_off_is_taken_up(qemu: None, tmp_path: Path) -> None:
    store = unpacked("old_prune.tar.xz", tmp_path / "store")
    with Pruner(Machine(PANEL), str(store), PANEL_ID, store_id(store)) as pruner:
        seen = pruner.look()
        assert ([entry.key for entry in seen.entries], set(seen.pruned)) == (
            [THIRD, FOURTH],
            {FIRST, SECOND},
        )
        assert shown(store, THIRD, tmp_path) == HELD[THIRD]
        assert set(pruner.take_up(VM, lambda _: None)) == {FIRST, SECOND}
    assert not (store / VM / "journal.json").exists()
    assert not (store / VM / FIRST).exists()
    assert manifest(store, THIRD).disks[0].parent == ""
    for key in (THIRD, FOURTH):
        assert judge(manifest(store, key), SIGNING) is SignatureVerdict.OURS
        assert shown(store, key, tmp_path) == HELD[key]

"""A real store on this machine: chains of qcow2 images made by qemu-img and qemu-io, with the
digests and the manifests that a backup writes, and rows that index them."""

import hashlib
import random
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backups.models import Generation, Store
from backups.services.index.identity import panel_id
from backups.services.index.index_generation import index_generation
from backups.services.index.signing import signed
from labpanel.lib.store_format.digests import header
from labpanel.lib.store_format.reading import checked
from labpanel.onhost.store import manifests
from labpanel.onhost.store.store_marker import write_marker
from tests.made_manifests import sealed

BLOCK = 256 * 1024
BLOCKS = 12
VM_UUID = "11111111-2222-4333-8444-555555555555"
TEXTS = {"domain.xml": "<domain/>", "checkpoint.xml": "<c/>", "RECOVER.txt": "qemu-img …"}


@dataclass
class Made:
    """The store's folder and row, and what each generation shows: key → block → content."""

    folder: Path
    store: Store
    views: dict[str, list[bytes]] = field(default_factory=dict)

    def place(self, key: str) -> Path:
        return self.folder / VM_UUID / key

    def row(self, key: str) -> Generation:
        return Generation.objects.get(key=key)

    def flip(self, key: str, name: str, at: int) -> None:
        """Turn one bit of a file, `at` bytes from its start (or its end, if negative)."""
        with (self.place(key) / name).open("r+b") as file:
            file.seek(at, 2 if at < 0 else 0)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 0x10]))


def made_store(folder: Path, name: str = "shelf") -> Made:
    folder.mkdir()
    store_id = _uuid(name)
    write_marker(folder, panel_id(), store_id)
    store = Store.objects.create(name=name, path=str(folder), store_id=store_id)
    return Made(folder, store)


def _uuid(name: str) -> str:
    return f"00000000-0000-4000-8000-{hashlib.md5(name.encode()).hexdigest()[:12]}"  # noqa: S324


def random_view(seed: int) -> list[bytes]:
    """Blocks of noise and text, with some zeros between."""
    chance = random.Random(seed)
    kinds = [chance.randbytes(BLOCK), b"all work and no play " * 12484, bytes(BLOCK)]
    return [
        (chance.randbytes(BLOCK) if number % 3 == 0 else kinds[number % 3])
        for number in range(BLOCKS)
    ]


def keep(made: Made, key: str, view: list[bytes], parent: str = "") -> dict[str, Any]:
    """One generation of disk vda: a full one, or what differs from its parent."""
    view = [block[:BLOCK].ljust(BLOCK, b"\0") for block in view]
    place = made.place(key)
    place.mkdir(parents=True)
    _image(made, place / "vda.qcow2", view, parent)
    listed = b"".join(_digest(block) for block in view)
    (place / "vda.digests").write_bytes(header(BLOCKS * BLOCK) + listed)
    for name, text in TEXTS.items():
        (place / name).write_text(text)
    made.views[key] = view
    whole = _manifest(made, key, parent, hashlib.sha256(listed).hexdigest())
    manifest = signed(checked(whole))
    manifests.write(place, manifest)
    index_generation(made.store, manifest)
    return manifest.as_json()


def _digest(block: bytes) -> bytes:
    return hashlib.sha256(block).digest()[:16] if any(block) else bytes(16)


def _image(made: Made, path: Path, view: list[bytes], parent: str) -> None:
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compression_type=zstd"]
    backing = ["-b", f"../{parent}/vda.qcow2", "-F", "qcow2"] if parent else []
    subprocess.run([*words, *backing, path.name, str(BLOCKS * BLOCK)], cwd=path.parent, check=True)
    before = made.views[parent] if parent else [bytes(BLOCK)] * BLOCKS
    commands = []
    for number, (old, new) in enumerate(zip(before, view, strict=True)):
        if old == new:
            continue
        piece = path.parent / f"block-{number}"
        piece.write_bytes(new)
        way = f"write -c -s {piece.name}" if any(new) else "write -z"
        commands += ["-c", f"{way} {number * BLOCK} {BLOCK}"]
    if commands:
        words = ["qemu-io", "-f", "qcow2", *commands, path.name]
        subprocess.run(words, cwd=path.parent, check=True, capture_output=True)
    for piece in path.parent.glob("block-*"):
        piece.unlink()


def _manifest(made: Made, key: str, parent: str, root: str) -> dict[str, Any]:
    place = made.place(key)
    image, listed = place / "vda.qcow2", place / "vda.digests"
    disk: dict[str, Any] = {
        "target": "vda",
        "source": "/srv/images/home.qcow2",
        "source_format": "qcow2",
        "mode": "bitmap" if parent else "full",
        "why": "",
        "virtual_bytes": BLOCKS * BLOCK,
        "candidate_bytes": 0,
        "read_bytes": 0,
        "copied_bytes": 0,
        "seconds": 1.0,
        "file": image.name,
        "parent": parent or None,
        "digests": {"file": listed.name, "sha256": manifests.sha256(listed)},
        "root": root,
        "file_bytes": image.stat().st_size,
        "sha256": manifests.sha256(image),
        "unreadable": [],
        "missed": [],
        "stamps": [],
    }
    day = f"{key[:4]}-{key[4:6]}-{key[6:8]}T12:00:00+00:00"
    before = made.row(parent).manifest.content if parent else ""
    manifest = {
        "format": 2,
        "generation": key,
        "vm": {"uuid": VM_UUID, "name": "home"},
        "host": "alpha",
        "store_id": str(made.store.store_id),
        "panel_id": panel_id(),
        "taken_at": day,
        "consistency": "quiesced",
        "not_quiesced": "",
        "nvram": "",
        "libvirt": 9_000_000,
        "qemu": 7_002_022,
        "block_bytes": BLOCK,
        "boot": "",
        "checkpoint": "",
        "policy": "",
        "parent": parent or None,
        "parent_content": before,
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in TEXTS.items()},
        "disks": [disk],
    }
    return sealed(manifest)

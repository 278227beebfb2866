"""Generations of made-up disks in a store, made by QEMU's own tools, and what each one held.

Standard library only: it also runs under the distribution's Python.
"""

import hashlib
import json
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labpanel.lib.store_format import digests
from labpanel.lib.store_format.names import MANIFEST
from labpanel.onhost.store import manifests
from tests.made_manifests import sealed, written

BLOCK = digests.BLOCK
VM = "11111111-2222-4333-8444-555555555555"


@dataclass
class Made:
    """A store with one VM, and what each of its generations held: key → target → bytes."""

    store: Path
    chance: random.Random
    held: dict[str, dict[str, bytes]] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], dict[str, Any]] = sealed

    @property
    def folder(self) -> Path:
        return self.store / VM

    def add(
        self,
        disks: dict[str, bytes],
        parents: dict[str, str | None] | None = None,
        taken_at: str = "",
    ) -> str:
        """One more generation; a disk's parent is the newest that holds it unless given."""
        number = len(self.held) + 1
        key = f"20261101T00{number // 60:02}{number % 60:02}Z-{number:06x}"
        place = self.folder / key
        place.mkdir(parents=True)
        entries = []
        for target, content in disks.items():
            parent = next((k for k in reversed(self.held) if target in self.held[k]), None)
            if parents is not None and target in parents:
                parent = parents[target]
            entries.append(self._disk(place, target, content, parent))
        (place / "domain.xml").write_text("<domain/>")
        manifest = {
            "format": 2,
            "generation": key,
            "vm": {"uuid": VM, "name": "home"},
            "host": "alpha",
            "taken_at": taken_at or f"2026-11-{number:02}T00:00:00+00:00",
            "consistency": "powered off",
            **self._ids(),
            "parent": next(reversed(self.held), None),
            "files": {"domain.xml": hashlib.sha256(b"<domain/>").hexdigest()},
            "disks": entries,
        }
        (place / MANIFEST).write_text(written(self.sign(manifest)))
        self.held[key] = disks
        return key

    def _ids(self) -> dict[str, str]:
        marker = json.loads((self.store / "labpanel-store.json").read_text())
        return {name: marker[name] for name in ("store_id", "panel_id")}

    def _disk(self, place: Path, target: str, content: bytes, parent: str | None) -> dict[str, Any]:
        image, listed = place / f"{target}.qcow2", place / f"{target}.digests"
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compression_type=zstd"]
        words += ["-b", f"../{parent}/{target}.qcow2", "-F", "qcow2"] if parent else []
        run([*words, str(image), str(len(content))])
        before = self.held[parent][target] if parent else b""
        write(image, content, before)
        found = list_of(content)
        listed.write_bytes(digests.header(len(content)) + found)
        return {
            "target": target,
            "source": f"/srv/images/home-{target}.qcow2",
            "source_format": "qcow2",
            "mode": "full read" if parent else "full",
            "virtual_bytes": len(content),
            "read_bytes": len(content),
            "copied_bytes": 0,
            "seconds": 0.1,
            "file": image.name,
            "parent": parent,
            "digests": {"file": listed.name, "sha256": manifests.sha256(listed)},
            "root": hashlib.sha256(found).hexdigest(),
            "file_bytes": image.stat().st_size,
            "sha256": manifests.sha256(image),
        }

    def manifest(self, key: str) -> dict[str, Any]:
        found, wrong = manifests.read(self.folder / key / MANIFEST)
        assert found is not None, f"{key}: {wrong}"
        return found.as_json()

    def rewrite(self, key: str, manifest: dict[str, Any]) -> None:
        """Another manifest in the place of a generation's, with seals that hold."""
        whole = {name: manifest[name] for name in manifest if name not in {"seal", "content"}}
        (self.folder / key / MANIFEST).write_text(written(sealed(whole)))

    def listed(self) -> list[str]:
        return sorted(place.parent.name for place in self.folder.glob("*/manifest.json"))

    def content(self, key: str, target: str) -> bytes:
        """What a guest would read."""
        raw = self.store / "view.raw"
        run(
            [
                "qemu-img",
                "convert",
                "-f",
                "qcow2",
                "-O",
                "raw",
                str(self.folder / key / f"{target}.qcow2"),
                str(raw),
            ]
        )
        return raw.read_bytes()

    def assert_as_it_was(self, keys: list[str]) -> None:
        """Every byte of these generations, as a guest would read it."""
        for key in keys:
            for target, content in self.held[key].items():
                assert self.content(key, target) == content, f"{target} of {key} changed"

    def assert_sound(self, keys: list[str]) -> None:
        """The same, and what their manifests say of the files is so."""
        self.assert_as_it_was(keys)
        for key in keys:
            for disk in self.manifest(key)["disks"]:
                image = self.folder / key / disk["file"]
                assert (image.stat().st_size, manifests.sha256(image)) == (
                    disk["file_bytes"],
                    disk["sha256"],
                )
                run(["qemu-img", "check", "-q", str(image)])


def changed(chance: random.Random, content: bytes, blocks: int) -> bytes:
    """The content with some blocks written, zeroed, or written in part."""
    fresh = bytearray(content)
    for _ in range(blocks):
        at = chance.randrange(0, max(1, len(content)), BLOCK)
        length = min(BLOCK, len(content) - at)
        kind = chance.choice(["random", "text", "zeros", "part"])
        if kind == "random":
            fresh[at : at + length] = chance.randbytes(length)
        elif kind == "text":
            fresh[at : at + length] = (f"{chance.random()} quick fox ".encode() * BLOCK)[:length]
        elif kind == "zeros":
            fresh[at : at + length] = bytes(length)
        else:
            fresh[at : at + 512] = chance.randbytes(min(512, length))
    return bytes(fresh)


def write(image: Path, content: bytes, before: bytes) -> None:
    """Write the blocks that differ from what is below, whole, and zeros explicitly."""
    words = ["qemu-io", "-f", "qcow2"]
    piece = image.with_suffix(".piece")
    before = before[: len(content)].ljust(len(content), b"\0")
    for at in range(0, len(content), BLOCK):
        new = content[at : at + BLOCK]
        if new == before[at : at + BLOCK]:
            continue
        if not any(new):
            run([*words, "-c", f"write -z {at} {len(new)}", image.name], image.parent)
            continue
        piece.write_bytes(new)
        # Whole clusters are compressed, as they are in a real backup.
        way = "-c" if len(new) % 65536 == 0 else ""
        run(
            [*words, "-c", f"write {way} -s {piece.name} {at} {len(new)}", image.name], image.parent
        )
        piece.unlink()


def list_of(content: bytes) -> bytes:
    found = b""
    for at in range(0, len(content), BLOCK):
        block = content[at : at + BLOCK]
        found += hashlib.sha256(block).digest()[:16] if any(block) else digests.ZERO
    return found


def run(words: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, (words, done.stdout, done.stderr)


def init(store: Path, panel_id: str = "panel-one", store_id: str = "store-one") -> None:
    store.mkdir(exist_ok=True)
    marker = {"format": 1, "store_id": store_id, "panel_id": panel_id}
    (store / "labpanel-store.json").write_text(json.dumps(marker))

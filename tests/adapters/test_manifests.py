"""A manifest knows whether it is as it was written, whichever byte of it changed."""

import json
from pathlib import Path
from typing import Any

import pytest

from labpanel.adapters.scripts import manifests

MADE: dict[str, Any] = {
    "format": 2,
    "generation": "20261122T231500Z-abc123",
    "vm": {"uuid": "11111111-2222-4333-8444-555555555555", "name": 'ho"me\n<é 家>'},
    "taken_at": "2026-11-22T23:15:00+00:00",
    "disks": [{"target": "vda", "virtual_bytes": 8, "root": "00ff", "parent": None}],
}


def test_every_flipped_bit_of_a_sealed_manifest_shows(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    whole = manifests.written(manifests.sealed(MADE)).encode()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        assert manifests.read(path) == (None, "manifest.json is not what was written"), at
    path.write_bytes(whole)
    assert manifests.read(path) == (manifests.sealed(MADE), "")


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_cut_manifest_shows(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(manifests.written(manifests.sealed(MADE)).encode()[:cut])
    assert manifests.read(path)[0] is None


def test_one_without_a_seal_is_from_format_1(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(manifests.written({**MADE, "format": 1}))
    assert manifests.read(path)[0] is not None
    path.write_text(manifests.written(MADE))
    assert manifests.read(path)[0] is None
    path.unlink()
    assert manifests.read(path) == (None, "manifest.json is gone")


def test_a_merge_changes_the_seal_and_never_the_content() -> None:
    merged = json.loads(json.dumps(MADE))
    merged["disks"][0]["parent"] = "20261101T231500Z-abc123"
    assert manifests.content(merged) == manifests.content(MADE)
    assert manifests.seal(merged) != manifests.seal(MADE)

"""Manifests as a backup writes them, as JSON and as values. Standard library only.

Seals and identities are computed here once more, over the JSON itself, as the versions did that
wrote the stores of before: the product's values are held against them.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labpanel.lib.store_format.manifest import UNKNOWN, KeptFile, Manifest
from labpanel.lib.store_format.reading import checked, unsealed

VM = "11111111-2222-4333-8444-555555555555"
STORE_ID, PANEL_ID = "99999999-2222-4333-8444-555555555555", "panel-one"
KEY = "20261122T231500Z-abc123"


def asked_disk(target: str = "vda", virtual_bytes: int = 8, **more: Any) -> dict[str, Any]:
    """One disk as the panel asks the store to finish it."""
    return {
        "target": target,
        "source": f"/srv/images/home-{target}.qcow2",
        "source_format": "qcow2",
        "mode": "full",
        "why": "",
        "file": f"{target}.qcow2",
        "parent": None,
        "virtual_bytes": virtual_bytes,
        "candidate_bytes": virtual_bytes,
        "read_bytes": virtual_bytes,
        "copied_bytes": virtual_bytes,
        "seconds": 0.5,
        "unreadable": [],
        "missed": [],
        "stamps": [1, virtual_bytes, 5, 5],
        "node": "libvirt-1-format",
        **more,
    }


def asked(key: str = KEY, disks: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """All but what the store adds, as backups/services/backup/manifest.py makes it."""
    return {
        "format": 2,
        "generation": key,
        "parent": None,
        "parent_content": None,
        "vm": {"uuid": VM, "name": "home"},
        "host": "alpha",
        "store_id": STORE_ID,
        "panel_id": PANEL_ID,
        "policy": "",
        "taken_at": f"{key[:4]}-{key[4:6]}-{key[6:8]}T{key[9:11]}:{key[11:13]}:00+00:00",
        "consistency": "quiesced",
        "not_quiesced": "",
        "nvram": "",
        "libvirt": 9_000_000,
        "qemu": 7_002_022,
        "boot": "",
        "checkpoint": "",
        "block_bytes": 256 * 1024,
        "disks": [asked_disk()] if disks is None else disks,
        **more,
    }


def whole(key: str = KEY, disks: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A finished one, of files that need not exist."""
    made = copy.deepcopy(asked(key, disks, **more))
    for disk in made["disks"]:
        listed = {"file": f"{disk['target']}.digests", "sha256": "d" * 64}
        for name, value in (("file_bytes", 4), ("sha256", "e" * 64), ("root", "a" * 64)):
            disk.setdefault(name, value)
        disk.setdefault("digests", listed)
    made.setdefault("files", {"domain.xml": "f" * 64, "RECOVER.txt": "b" * 64})
    return sealed(made)


def value(key: str = KEY, disks: list[dict[str, Any]] | None = None, **more: Any) -> Manifest:
    """The same as a value."""
    return checked(whole(key, disks, **more))


def draft(key: str = KEY, disks: list[dict[str, Any]] | None = None, **more: Any) -> Manifest:
    """As the panel asks the store to finish it."""
    made = copy.deepcopy(asked(key, disks, **more))
    for disk in made["disks"]:
        disk.update(file_bytes=0, sha256=UNKNOWN)
        disk.setdefault("root", UNKNOWN)
        disk["digests"] = {"file": f"{disk['target']}.digests", "sha256": UNKNOWN}
    return unsealed({**made, "files": {}})


def with_files(manifest: Manifest, files: Mapping[str, str]) -> Manifest:
    """With some files more, or with another digest of them."""
    every = {**manifest.digests_of_files, **files}
    return replace(manifest, files=tuple(KeptFile(name, every[name]) for name in sorted(every)))


def content(made: Mapping[str, Any]) -> str:
    disks = [
        {key: disk[key] for key in ("target", "virtual_bytes", "root")} for disk in made["disks"]
    ]
    facts = {key: made[key] for key in ("generation", "taken_at")}
    return _digest({**facts, "vm": made["vm"]["uuid"], "disks": disks})


def seal(made: Mapping[str, Any]) -> str:
    return _digest({key: value for key, value in made.items() if key != "seal"})


def sealed(made: Mapping[str, Any]) -> dict[str, Any]:
    full = {**made, "content": content(made)}
    return {**full, "seal": seal(full)}


def identity(made: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        key: value for key, value in made.items() if key not in {"content", "seal", "signature"}
    }
    rewritten = {"parent", "file_bytes", "sha256", "digests"}
    kept["disks"] = [
        {key: value for key, value in disk.items() if key not in rewritten}
        for disk in made["disks"]
    ]
    return kept


def identity_digest(made: Mapping[str, Any]) -> str:
    return _digest(identity(made))


def canonical(made: Mapping[str, Any]) -> bytes:
    text = json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def written(made: Mapping[str, Any]) -> str:
    """The text of the file."""
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _digest(made: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(made)).hexdigest()

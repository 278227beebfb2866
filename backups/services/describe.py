"""What a generation says of itself: its manifest (format 2), and the texts beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backups.models import Store
from backups.selectors.parents import Parent, newest_of
from backups.services import recover_text
from backups.services.identity import panel_id
from backups.services.source import Facts, Opened
from hosts.models import VM
from labpanel.adapters import backup_xml

BLOCK_BYTES = 256 * 1024
FORMAT = 2


@dataclass(frozen=True, slots=True)
class Taken:
    """Of what, into which store, under which name, and what was asked (the job's parameters)."""

    vm: VM
    store: Store
    key: str
    asked: Mapping[str, Any]


def manifest(
    taken: Taken, facts: Facts, disks: Opened, entries: list[dict[str, Any]]
) -> dict[str, Any]:
    """All but what the store's side adds when it has the files: their sizes and hashes, `files`,
    `content` and `seal`."""
    before = newest_of(taken.store, facts.uuid)
    return {
        "format": FORMAT,
        "generation": taken.key,
        "parent": before.key if before else None,
        "parent_content": before.manifest.get("content") if before else None,
        "vm": {"uuid": facts.uuid, "name": facts.name},
        "host": taken.vm.host.name,
        "store_id": str(taken.store.store_id),
        "panel_id": panel_id(),
        "policy": taken.asked.get("policy", ""),
        "taken_at": disks.taken_at.isoformat(),
        "consistency": disks.consistency,
        "not_quiesced": disks.note,
        "nvram": backup_xml.nvram_path(facts.xml),
        "libvirt": facts.libvirt,
        "qemu": facts.qemu,
        "boot": disks.boot,
        "checkpoint": disks.checkpoint,
        "block_bytes": BLOCK_BYTES,
        "disks": entries,
    }


def texts(
    whole: dict[str, Any], facts: Facts, disks: Opened, parents: Mapping[str, Parent]
) -> dict[str, str]:
    """The small files of the generation, by name."""
    targets = [disk["target"] for disk in whole["disks"]]
    found = {
        "domain.xml": backup_xml.definition(facts.xml, facts.inactive_xml, targets),
        "RECOVER.txt": recover_text.write(whole, _needed(whole, parents)),
    }
    if disks.checkpoint_xml:
        found["checkpoint.xml"] = disks.checkpoint_xml
    return found


def _needed(whole: dict[str, Any], parents: Mapping[str, Parent]) -> list[str]:
    """The generations whose images this one's are read through, nearest first."""
    keys: dict[str, None] = {}
    for disk in whole["disks"]:
        if disk["parent"]:
            keys |= dict.fromkeys([disk["parent"], *parents[disk["target"]].chain])
    return list(keys)

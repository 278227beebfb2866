"""What a generation says of itself: its manifest (format 2), and the texts beside it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backups.models import Store
from backups.rules.backup.kept_beside import bounded, of_the_host
from backups.rules.backup.odd_disks import of_disks
from backups.selectors.copies.parents import Parent, newest_of
from backups.services.backup import recover_text
from backups.services.backup.source import Facts, OpenDisks
from backups.services.index.identity import panel_id
from hosts.models import VM
from labpanel.adapters.libvirt.xml import backup_xml, beside_xml
from labpanel.adapters.libvirt.xml.beside_xml import Beside
from labpanel.lib.kept_files import NVRAM, TPM, tpm_folder
from labpanel.lib.left_out import LeftOut
from labpanel.lib.store_format.manifest import FORMAT, DiskEntry, Manifest


@dataclass(frozen=True, slots=True)
class Taken:
    """Of what, into which store, under which name, and what was asked (the job's parameters)."""

    vm: VM
    store: Store
    key: str
    asked: Mapping[str, Any]


def manifest(
    taken: Taken,
    facts: Facts,
    disks: OpenDisks,
    entries: Sequence[DiskEntry],
    left_out: Sequence[LeftOut],
) -> Manifest:
    """All but what the store's side adds when it has the files: their sizes and digests."""
    before = newest_of(taken.store, facts.uuid)
    known = before.manifest if before else None
    return Manifest(
        format=FORMAT,
        generation=taken.key,
        parent=before.key if before else "",
        parent_content=known.content if known and known.is_sealed else "",
        vm_uuid=facts.uuid,
        vm_name=facts.name,
        host=taken.vm.host.name,
        store_id=str(taken.store.store_id),
        panel_id=panel_id(),
        policy=taken.asked.get("policy", ""),
        taken_at=disks.taken_at,
        consistency=disks.consistency,
        not_quiesced=disks.note,
        nvram=beside_xml.beside(facts.xml).nvram,
        libvirt=facts.libvirt,
        qemu=facts.qemu,
        boot=disks.boot,
        checkpoint=disks.checkpoint,
        disks=tuple(entries),
        left_out=tuple(bounded(left_out)),
    )


def left_out(facts: Facts, disks: OpenDisks) -> list[LeftOut]:
    """What the VM has, and its copy has not, as far as its definition and its images tell."""
    xmls = [xml for xml in (facts.inactive_xml, facts.xml) if xml]
    own = [disk for xml in xmls for disk in backup_xml.source_disks(xml)]
    media = [medium for xml in xmls for medium in backup_xml.network_media(xml)]
    return [
        *of_the_host([beside_xml.beside(xml) for xml in xmls]),
        *of_disks(own, disks.images, media),
    ]


def texts(
    whole: Manifest,
    facts: Facts,
    disks: OpenDisks,
    parents: Mapping[str, Parent],
    kept: Collection[str],
) -> dict[str, str]:
    """The texts of the generation, by name; `kept` are the files beside its disks."""
    targets = [disk.target for disk in whole.disks]
    definition = backup_xml.definition(facts.xml, facts.inactive_xml, targets)
    homes = _homes(beside_xml.beside(definition), facts.uuid, whole.nvram)
    beside = {name: homes[name] for name in kept if name in homes}
    found = {
        "domain.xml": definition,
        "RECOVER.txt": recover_text.write(whole, _needed(whole, parents), beside),
    }
    if disks.checkpoint_xml:
        found["checkpoint.xml"] = disks.checkpoint_xml
    return found


def _homes(found: Beside, uuid: str, nvram: str) -> dict[str, str]:
    """Where the definition expects the files beside the disks, by their names in a generation."""
    tpm = {name: f"{tpm_folder(uuid)}/{inner}/{name}" for name, inner in TPM.items()}
    return {**found.boot_files, NVRAM: nvram, **tpm}


def _needed(whole: Manifest, parents: Mapping[str, Parent]) -> list[str]:
    """The generations whose images this one's are read through, nearest first."""
    keys: dict[str, None] = {}
    for disk in whole.disks:
        if disk.parent:
            keys |= dict.fromkeys([disk.parent, *parents[disk.target].chain])
    return list(keys)

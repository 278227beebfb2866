"""Removing checkpoints of ours, with the records that they keep in images."""

from collections.abc import Sequence

from backups.services.backup.end_backup import patiently
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.adapters.libvirt.xml import backup_xml


def forget_checkpoints(hypervisor: BacksUp, uuid: str, names: Sequence[str]) -> Sequence[str]:
    """Those of `names` that were there and went."""
    targets = bitmap_targets(patiently(lambda: hypervisor.backup_facts(uuid)).xml)
    return patiently(lambda: hypervisor.forget_checkpoints(uuid, names, targets))


def bitmap_targets(xml: str) -> list[str]:
    """The disks of a domain that can have bitmaps."""
    disks = backup_xml.source_disks(xml)
    return [disk.target for disk in disks if disk.holds_data and disk.format == "qcow2"]

"""A VM's block device as a backup or a restore sees it. Standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceDisk:
    """From the domain XML: libvirt's words for `device` (disk, lun, cdrom, floppy), `kind` (file,
    block, network, volume, …) and `format` (raw, qcow2, …). `node` is libvirt's number of the open
    image, new at each plugging, snapshot or start; empty while the VM is off."""

    target: str
    device: str
    kind: str
    source: str
    format: str
    node: str = ""
    iothread: bool = False
    shareable: bool = False
    read_only: bool = False
    transient: bool = False

    @property
    def holds_data(self) -> bool:
        return self.device in {"disk", "lun"} and not self.read_only

"""A VM's block device as a backup or a restore sees it. Standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Below:
    """What an image may be based on: `named`, (path, format) of the chain that the domain XML
    names, topmost first, with ("", "") where it says that the chain ends; and any file in one of
    `folders`."""

    named: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDisk:
    """From the domain XML: libvirt's words for `device` (disk, lun, cdrom, floppy), `kind` (file,
    block, network, volume, …) and `format` (raw, qcow2, …). `node` is libvirt's number of the open
    image, new at each plugging, snapshot or start; empty while the VM is off. `chain` is what it
    says of backing files (see Below.named). `encrypted` and `sliced` say of the image or of one
    below it that QEMU holds its key, or that it is a part of a larger file."""

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
    chain: tuple[tuple[str, str], ...] = ()
    encrypted: bool = False
    sliced: bool = False

    @property
    def holds_data(self) -> bool:
        return self.device in {"disk", "lun"} and not self.read_only

    @property
    def is_only_read(self) -> bool:
        """A disk that the VM never writes, which no backup holds."""
        return self.device in {"disk", "lun"} and self.read_only

"""What work on images and stores met, and which backups and rehearsals failed."""

from dataclasses import dataclass
from datetime import datetime

from labpanel.lib.io_fault import Access

Stretches = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ImageFault:
    """A read or a write of an image that failed during work. `path` is empty where it is not known,
    `disk` names the disk and its VM, `spans` are [first byte, byte after the last]; `vms` are
    those that are held."""

    host: str
    access: Access
    path: str
    disk: str
    spans: Stretches
    vms: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class StoreFault:
    """Likewise, of a file of a store; `where` says where the store lies."""

    store: str
    where: str
    access: Access
    file: str
    spans: Stretches
    vms: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class CorruptImage:
    """QEMU has marked these files of a disk as corrupt."""

    vm: str
    target: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedBackup:
    """`outcome` is what the job said at its end."""

    vm: str
    store: str
    outcome: str


@dataclass(frozen=True, slots=True)
class FailedRehearsal:
    vm: str
    store: str
    outcome: str

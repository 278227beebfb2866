"""A VM about to be backed up, as its host has it, and what an opened one offers to the copying."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backups.rules import fit
from backups.rules.hints import Kept
from labpanel.adapters import backup_xml
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.mover import Export
from labpanel.jobs.work import Failed
from labpanel.lib.disks import SourceDisk
from labpanel.lib.hints import Hint

SHORT = 15
PAUSED = 3  # virDomainState: VIR_DOMAIN_PAUSED
BROKEN_WRITE = 5  # virDomainPausedReason: VIR_DOMAIN_PAUSED_IOERROR


@dataclass(frozen=True, slots=True)
class Facts:
    """The VM as libvirt has it now (see libvirt_child/backup_calls.py), and its data disks."""

    uuid: str
    name: str
    id: int
    state: int
    active: bool
    xml: str
    inactive_xml: str
    job: bool
    snapshots: int
    managed_save: bool
    libvirt: int
    qemu: int
    disks: tuple[SourceDisk, ...]

    @property
    def by_push(self) -> bool:
        """Whether QEMU must write the disks aside, since serving them could crash it."""
        return self.active and fit.needs_push(self.disks, self.qemu)

    def sized(self, hypervisor: Hypervisor, images: ImageHost) -> dict[str, int]:
        """Virtual size of each data disk in bytes, by target."""
        return {disk.target: self._size(disk, hypervisor, images) for disk in self.disks}

    def _size(self, disk: SourceDisk, hypervisor: Hypervisor, images: ImageHost) -> int:
        if not self.active:
            return images.virtual_bytes(disk.source, disk.format)
        info = hypervisor.call("block_info", deadline=SHORT, uuid=self.uuid, target=disk.target)
        return int(info["capacity"])


def facts_of(hypervisor: Hypervisor, uuid: str, leave_out: Sequence[str] = ()) -> Facts:
    """Ask libvirt; raises Failed with every reason against a backup."""
    answer: dict[str, Any] = hypervisor.call("backup_facts", deadline=SHORT, uuid=uuid)
    disks = tuple(
        disk
        for disk in backup_xml.source_disks(answer["xml"])
        if disk.holds_data and disk.target not in leave_out
    )
    facts = Facts(uuid=uuid, disks=disks, **answer)
    reasons = fit.obstacles(facts.name, disks, busy=facts.job)
    if reasons:
        raise Failed(" ".join(reasons))
    return facts


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run wants of the source. `host` as manifests have it; `kept` is each disk in the
    generation that its image will back on; `checkpoint` names the record that this generation
    begins, empty for none."""

    host: str = ""
    kept: Mapping[str, Kept] = field(default_factory=dict)
    checkpoint: str = ""
    deep: bool = False
    freeze: bool = True


@dataclass(frozen=True, slots=True)
class Opened:
    """Exports by target, readable on the source host, and for the manifest what the next run needs
    to trust its hints. `look` is to be called every second or two; it raises when the run must
    end."""

    exports: dict[str, Export]
    hints: dict[str, Hint]
    taken_at: datetime
    consistency: str
    note: str
    look: Callable[[], None]
    boot: str = ""
    checkpoint: str = ""
    checkpoint_xml: str = ""
    stamps: dict[str, list[int]] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)

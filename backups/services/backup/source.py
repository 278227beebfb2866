"""A VM about to be backed up, as its host has it, and what an opened one offers to the copying."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

from backups.rules.backup import fit
from backups.rules.backup.hints import ParentDisk
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export
from labpanel.adapters.images.source_host import SourceHost, SourceImage
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.adapters.libvirt.xml import backup_xml
from labpanel.jobs.work import Failed
from labpanel.lib.disks import Below, SourceDisk
from labpanel.lib.hints import Hint
from labpanel.lib.source_facts import ImageFacts
from labpanel.lib.store_format.reading import MOST_CHAIN, fits_chain


@dataclass(frozen=True, slots=True)
class Facts:
    """The VM as libvirt has it now (see BackupFacts), and its data disks."""

    uuid: str
    name: str
    run: int | None
    state: str
    active: bool
    xml: str
    inactive_xml: str
    busy: bool
    snapshots: int
    managed_save: bool
    libvirt: int
    qemu: int
    disks: tuple[SourceDisk, ...]
    pools: tuple[str, ...] = ()

    def below(self, disk: SourceDisk) -> Below:
        """What the disk's image may be based on: what libvirt names, and files in its storage pools
        or beside the VM's own images."""
        own = {str(PurePosixPath(one.source).parent) for one in self.disks if one.kind == "file"}
        return Below(disk.chain, tuple(sorted({*self.pools, *own} - {"/", "."})))

    def seen_images(self, source: SourceHost) -> dict[str, ImageFacts]:
        """What the host knows of each data disk's image, by target."""
        asked = [SourceImage(disk.source, disk.format, self.below(disk)) for disk in self.disks]
        found = source.images(asked, running=self.active)
        return {disk.target: image for disk, image in zip(self.disks, found, strict=True)}

    @property
    def by_push(self) -> bool:
        """Whether QEMU must write the disks aside, since serving them could crash it."""
        return self.active and fit.needs_push(self.disks, self.qemu)

    def sized(self, hypervisor: BacksUp, images: ImageHost) -> dict[str, int]:
        """Virtual size of each data disk in bytes, by target."""
        return {disk.target: self._size(disk, hypervisor, images) for disk in self.disks}

    def _size(self, disk: SourceDisk, hypervisor: BacksUp, images: ImageHost) -> int:
        if not self.active:
            return images.virtual_bytes(disk.source, disk.format)
        return hypervisor.block_info(self.uuid, disk.target).capacity


def facts_of(hypervisor: BacksUp, uuid: str, leave_out: Sequence[str] = ()) -> Facts:
    """Ask libvirt; raises Failed with every reason against a backup."""
    said = hypervisor.backup_facts(uuid)
    disks = tuple(
        disk
        for disk in backup_xml.source_disks(said.xml)
        if disk.holds_data and disk.target not in leave_out
    )
    facts = Facts(
        uuid=uuid,
        name=said.name,
        run=said.run,
        state=said.state,
        active=said.active,
        xml=said.xml,
        inactive_xml=said.inactive_xml,
        busy=said.busy,
        snapshots=said.snapshots,
        managed_save=said.managed_save,
        libvirt=said.libvirt,
        qemu=said.qemu,
        disks=disks,
        pools=() if said.active else hypervisor.pool_folders(),
    )
    reasons = fit.obstacles(facts.name, disks, busy=facts.busy)
    if reasons:
        raise Failed(" ".join(reasons))
    return facts


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What a run wants of the source, for the generation `key`. `host` as manifests have it and
    `host_key` of its row; `kept` is each disk in the
    generation that its image will back on; `checkpoint` names the record that this generation
    begins, empty for none; `moved_at` is when the VM last came from another host. `asides`
    are folders on other file systems of the host, `suspect` says that something is wrong with what
    the images lie on, and `unsaved` what is lost with them if this run fails."""

    host: str = ""
    host_key: int = 0
    key: str = ""
    kept: Mapping[str, ParentDisk] = field(default_factory=dict)
    checkpoint: str = ""
    deep: bool = False
    freeze: bool = True
    moved_at: datetime | None = None
    asides: tuple[str, ...] = ()
    suspect: bool = False
    unsaved: str = ""


@dataclass(frozen=True, slots=True)
class OpenDisks:
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
    images: Mapping[str, ImageFacts] = field(default_factory=dict)

    def chain_of(self, disk: SourceDisk) -> list[str]:
        """The paths that its image backs on: what libvirt names, and what the files say."""
        seen = self.images[disk.target].below if disk.target in self.images else ()
        named = [path for path, _ in disk.chain]
        return [path for path in dict.fromkeys([*named, *seen]) if fits_chain(path)][:MOST_CHAIN]

    def inode_of(self, disk: SourceDisk) -> int:
        return self.images[disk.target].inode if disk.target in self.images else 0

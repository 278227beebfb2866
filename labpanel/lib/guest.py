"""What a guest says of itself from inside. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GuestDisk:
    """A block device of the guest. `bytes` is 0 and `serial` empty where it cannot say."""

    name: str
    bytes: int
    serial: str


@dataclass(frozen=True, slots=True)
class GuestMount:
    """A file system on a block device of the guest."""

    point: str
    device: str
    type: str


@dataclass(frozen=True, slots=True)
class Tree:
    """The ordinary files below one path, within its file system; times are seconds since 1970.

    `old` are those whose inode was not changed after the moment that was asked for: they were
    there then, as they are. `cut` says that there were too many to count them all.
    """

    files: int
    newest: int
    old: int
    old_newest: int
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Guest:
    """`wanted` are the mount points of /etc/fstab that a boot must mount; `trees` is empty where
    the agent may not run programs, and `why_no_trees` says so."""

    disks: tuple[GuestDisk, ...]
    mounts: tuple[GuestMount, ...]
    wanted: tuple[str, ...] = ()
    trees: Mapping[str, Tree] = field(default_factory=dict)
    why_no_trees: str = ""

    @property
    def points(self) -> frozenset[str]:
        return frozenset(mount.point for mount in self.mounts)


@dataclass(frozen=True, slots=True)
class GuestFileSystem:
    """Content of a disk seen from outside the guest. `device` is named as the VM names it (`vda1`,
    `vg0/root`). `point` is where the guest's own fstab mounts it, empty if it does not say;
    `why_not` says what is wrong with it, `hidden` why the appliance cannot read its kind, and
    `not_counted` why its files were not counted."""

    device: str
    type: str
    label: str = ""
    point: str = ""
    why_not: str = ""
    hidden: str = ""
    not_counted: str = ""

    @property
    def name(self) -> str:
        return self.point or (f"“{self.label}” on {self.device}" if self.label else self.device)


@dataclass(frozen=True, slots=True)
class Insides:
    """What is on the disks, seen from outside the guest. `lacking` are file systems that the
    guest's fstab asks for and that are on no disk: mount point to device; `trees` as in Guest, a
    file system without a mount point by its name."""

    disks: tuple[GuestDisk, ...]
    systems: tuple[GuestFileSystem, ...]
    lacking: Mapping[str, str] = field(default_factory=dict)
    trees: Mapping[str, Tree] = field(default_factory=dict)

"""What a VM needs of a host and what a host has, as a move sees it. Standard library only."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MovingDisk:
    """One virtual disk, in libvirt's words. Sizes in bytes; `stacked` says that it lies on a
    backing file; `medium` that it is a CD-ROM or floppy drive."""

    target: str
    kind: str
    source: str
    format: str
    capacity: int = 0
    allocated: int = 0
    stacked: bool = False
    medium: bool = False
    read_only: bool = False
    shareable: bool = False

    @property
    def travels(self) -> bool:
        """Its content is the VM's own and must be copied."""
        return not (self.medium or self.read_only or self.shareable) and self.kind != "network"


@dataclass(frozen=True, slots=True)
class Needs:
    """What the domain's own description asks of any host.

    `networks` and `bridges` by name; `directs` the host's interfaces that macvtap uses;
    `passthrough` in words; `files` that must be there as they are (kernel, firmware, read-only
    disks); `emulated` is true for TCG, where the host's CPU does not matter.
    """

    name: str
    uuid: str
    arch: str
    machine: str
    emulator: str
    emulated: bool
    cpu: str
    cpu_mode: str
    memory_bytes: int
    disks: tuple[MovingDisk, ...]
    networks: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    directs: tuple[str, ...] = ()
    passthrough: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    nvram: str = ""
    tpm: bool = False
    huge_pages: bool = False

    @property
    def copied(self) -> tuple[MovingDisk, ...]:
        return tuple(disk for disk in self.disks if disk.travels)

    @property
    def media(self) -> tuple[MovingDisk, ...]:
        return tuple(disk for disk in self.disks if disk.medium and disk.source)


@dataclass(frozen=True, slots=True)
class Now:
    """What libvirt says of the domain at this moment."""

    active: bool
    state: str
    persistent: bool = True
    autostart: bool = False
    busy: bool = False
    snapshots: int = 0
    managed_save: bool = False
    libvirt: int = 0
    qemu: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """An open finding of a host. `mount_point` is set for a file system's; `touches` says that it
    names the VM that moves."""

    sentence: str
    bad: bool
    kind: str = ""
    mount_point: str = ""
    touches: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """Where images would go: a file system, its free bytes and what is asked of it."""

    mount_point: str
    available_bytes: int
    wanted_bytes: int
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """One host that the VM may go to. `error` says why it could not be asked; then the rest is
    empty. `paths` maps each image's path at the source to the one it would get here; `machine`
    and `cpu` are libvirt's own words against the machine type and the CPU."""

    name: str
    error: str = ""
    root: bool = True
    troubles: tuple[Trouble, ...] = ()
    uuids: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    paths: dict[str, str] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    missing_programs: frozenset[str] = frozenset()
    spaces: tuple[Space, ...] = ()
    memory_available: int = 0
    networks: frozenset[str] = frozenset()
    bridges: frozenset[str] = frozenset()
    interfaces: frozenset[str] = frozenset()
    machine: str = ""
    cpu: str = ""
    libvirt: int = 0
    qemu: int = 0


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason against a move, or with `blocking` false one thing to know before it."""

    sentence: str
    blocking: bool = True

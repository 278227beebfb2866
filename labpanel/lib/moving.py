"""What a VM needs of a host and what a host has, as a move sees it. Standard library only."""

from dataclasses import dataclass, field

from labpanel.lib.definition import Reach


@dataclass(frozen=True, slots=True)
class MovingDisk:
    """One virtual disk, in libvirt's words. Sizes in bytes; `stacked` says that it lies on a
    backing file; `medium` that it is a CD-ROM or floppy drive; `encrypted` that QEMU has its key;
    `sliced` that it is a part of a larger file; `data_elsewhere` that the image holds tables only;
    `corrupt` that QEMU has marked it so; `inside` are snapshots inside it, by name."""

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
    transient: bool = False
    encrypted: bool = False
    sliced: bool = False
    data_elsewhere: bool = False
    corrupt: bool = False
    inside: tuple[str, ...] = ()

    @property
    def far(self) -> bool:
        """It is not a file or device of the host itself."""
        return self.kind not in {"file", "block"}

    @property
    def travels(self) -> bool:
        """Its content is the VM's own and must be copied."""
        return not (self.medium or self.read_only or self.shareable) and self.kind != "network"


@dataclass(frozen=True, slots=True)
class Thing:
    """A file, folder or device of a host that must be there as it is: where it is looked for, and
    what its owner calls it."""

    path: str
    words: str


@dataclass(frozen=True, slots=True)
class Having:
    """What a host has and lacks of what a VM needs: `missing` paths and programs; the names of its
    bridges, and of all its network interfaces."""

    missing: tuple[str, ...] = ()
    missing_programs: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DomainNeeds:
    """What the domain's own description asks of any host, the one list of moves and restores.

    `networks` and `bridges` by name; `directs` the host's interfaces that macvtap uses;
    `passthrough` in words; `things` that must be there as they are (emulator, kernel, firmware,
    read-only disks, devices); `volumes` of pools, as (pool, volume); `emulated` is true for TCG,
    where the host's CPU does not matter.
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
    things: tuple[Thing, ...] = ()
    volumes: tuple[tuple[str, str], ...] = ()
    nvram: str = ""
    tpm: bool = False
    huge_pages: bool = False

    @property
    def copied(self) -> tuple[MovingDisk, ...]:
        return tuple(disk for disk in self.disks if disk.travels)

    @property
    def paths(self) -> list[str]:
        """Everything that is to be looked for on a host: things, and media."""
        media = [disk.source for disk in self.media if not disk.far]
        return [*(thing.path for thing in self.things), *media]

    @property
    def programs(self) -> list[str]:
        """libvirt starts an emulated TPM with these."""
        return ["swtpm", "swtpm_setup"] if self.tpm else []

    @property
    def asked_cpu(self) -> str:
        """The <cpu> that a host's libvirt is to judge; empty where there is nothing to judge."""
        return "" if self.emulated or self.cpu_mode == "host-passthrough" else self.cpu

    @property
    def media(self) -> tuple[MovingDisk, ...]:
        return tuple(disk for disk in self.disks if disk.medium and disk.source)


@dataclass(frozen=True, slots=True)
class DomainNow:
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
class OpenFinding:
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
class Draft:
    """The VM's description as the host would get it: `portable` for the running VM, empty if it is
    off, and `persistent`. `open` is what in it reaches into the host and needs the owner's word,
    with the `code` of that list; `agreed` says what the owner's word let through or left out;
    `against` is libvirt's own word against it. `needs` is what it asks of the host as it is, and
    `least` what it would ask without all that can be left out of it."""

    portable: str
    persistent: str
    open: tuple[Reach, ...] = ()
    code: str = ""
    can_drop: bool = False
    agreed: tuple[str, ...] = ()
    against: str = ""
    needs: DomainNeeds | None = None
    least: DomainNeeds | None = None


@dataclass(frozen=True, slots=True)
class MoveTarget:
    """One host that the VM may go to. `error` says why it could not be asked; then the rest is
    empty. `paths` maps each image's path at the source to the one it would get here; `machine`
    and `cpu` are libvirt's own words against the machine type and the CPU; `draft` is the
    description that it would get, None where nothing was asked."""

    name: str
    error: str = ""
    root: bool = True
    troubles: tuple[OpenFinding, ...] = ()
    uuids: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    paths: dict[str, str] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    missing_programs: frozenset[str] = frozenset()
    missing_volumes: frozenset[tuple[str, str]] = frozenset()
    spaces: tuple[Space, ...] = ()
    memory_available: int = 0
    networks: frozenset[str] = frozenset()
    bridges: frozenset[str] = frozenset()
    interfaces: frozenset[str] = frozenset()
    machine: str = ""
    cpu: str = ""
    libvirt: int = 0
    qemu: int = 0
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One reason against a move, or with `blocking` false one thing to know before it. With `asks`
    the owner's word takes it away; `typed` says how on the command line, where a page has buttons.
    """

    sentence: str
    blocking: bool = True
    asks: bool = False
    typed: bool = False

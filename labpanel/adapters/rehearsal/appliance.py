"""Looking at the disks of a copy from outside the guest, by libguestfs's appliance on a host:
onhost/rehearsal/appliance.py, typed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from labpanel.adapters.images.image_host import SHORT
from labpanel.adapters.ssh.bundle import text_of
from labpanel.adapters.ssh.session import Front
from labpanel.lib.guest import GuestDisk, GuestFileSystem, Insides, Tree
from labpanel.lib.shaped import shaped

MOST_FILES = 300_000
_COUNT_SECONDS = 60  # for each file system


@dataclass(frozen=True, slots=True)
class Source:
    """One disk of the copy: an NBD export on a unix socket of the host, open for reading only."""

    target: str
    socket: str
    export: str


@dataclass(frozen=True, slots=True)
class _System:
    """As appliance_look.py says it; `trees` are files and the newest time, by place."""

    device: str
    type: str
    label: str
    uuid: str
    point: str
    root: bool
    why_not: str
    hidden: str
    trees: dict[str, tuple[int, int]]
    not_counted: str = ""


@dataclass(frozen=True, slots=True)
class _Disk:
    target: str
    bytes: int


@dataclass(frozen=True, slots=True)
class _Lack:
    point: str
    device: str


@dataclass(frozen=True, slots=True)
class _FoundDisk:
    disks: list[_Disk]
    systems: list[_System]
    lacking: list[_Lack]


@dataclass(frozen=True, slots=True)
class _Said:
    phase: str
    result: _FoundDisk | None
    error: str


@dataclass(frozen=True, slots=True)
class ApplianceState:
    """How far it is. `insides` is there when it is through, `error` when it could not."""

    phase: str
    insides: Insides | None
    error: str


class Appliance(Front):
    """One appliance on one machine; it is gone when this is closed, or its connection is cut.
    Raises ScriptRefused where libguestfs is missing (`no-guestfs`, `no-kernel`)."""

    program = "rehearsal.appliance"

    def begin(
        self,
        sources: Sequence[Source],
        *,
        places: Sequence[str],
        memory_mib: int,
        kvm: bool,
        scratch: str,
    ) -> None:
        """Start it; `places` are counted separately where they are no file systems."""
        asked = {
            "disks": [asdict(source) for source in sources],
            "places": list(places),
            "memory_mib": memory_mib,
            "kvm": kvm,
            "most": MOST_FILES,
            "seconds": _COUNT_SECONDS,
        }
        program = text_of("labpanel.onhost.rehearsal.appliance_look")
        self._session.call("begin", deadline=SHORT, program=program, asked=asked, scratch=scratch)

    def state(self) -> ApplianceState:
        said: _Said = self._session.call("state", deadline=SHORT, shape=_Said)
        return ApplianceState(
            said.phase, None if said.result is None else _insides(said.result), said.error
        )

    def stop(self) -> None:
        self._session.call("stop", deadline=SHORT)


def parse(answer: object) -> Insides:
    """What appliance_look.py found. Raises Odd when it is another thing."""
    found: _FoundDisk = shaped(_FoundDisk, answer)
    return _insides(found)


def _insides(found: _FoundDisk) -> Insides:
    systems, trees = [], {}
    for one in found.systems:
        system = GuestFileSystem(
            device=one.device,
            type=one.type,
            label=one.label,
            point=one.point,
            why_not=one.why_not,
            hidden=one.hidden,
            not_counted=one.not_counted,
        )
        systems.append(system)
        for place, (files, newest) in one.trees.items():
            trees[place or system.name] = Tree(files, newest, files, newest, files >= MOST_FILES)
    return Insides(
        disks=tuple(GuestDisk(disk.target, disk.bytes, "") for disk in found.disks),
        systems=tuple(systems),
        lacking={one.point: one.device for one in found.lacking},
        trees=trees,
    )

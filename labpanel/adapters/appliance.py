"""Looking at the disks of a copy from outside the guest, by libguestfs's appliance on a host:
scripts/appliance.py, typed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labpanel.adapters.image_host import SHORT
from labpanel.adapters.script_session import SCRIPTS, Front
from labpanel.lib.guest import FileSystem, GuestDisk, Insides, Tree

MOST_FILES = 300_000
_COUNT_SECONDS = 60  # for each file system


@dataclass(frozen=True, slots=True)
class Source:
    """One disk of the copy: an NBD export on a unix socket of the host, open for reading only."""

    target: str
    socket: str
    export: str


@dataclass(frozen=True, slots=True)
class State:
    """How far it is. `insides` is there when it is through, `error` when it could not."""

    phase: str
    insides: Insides | None
    error: str


class Appliance(Front):
    """One appliance on one machine; it is gone when this is closed, or its connection is cut.
    Raises ScriptRefused where libguestfs is missing (`no-guestfs`, `no-kernel`)."""

    modules = ("wire", "appliance")

    def begin(
        self,
        sources: Sequence[Source],
        *,
        places: Sequence[str],
        memory_mib: int,
        kvm: bool,
        scratch: str,
    ) -> None:
        """Start it; `places` are counted by themselves where they are no file systems."""
        asked = {
            "disks": [asdict(source) for source in sources],
            "places": list(places),
            "memory_mib": memory_mib,
            "kvm": kvm,
            "most": MOST_FILES,
            "seconds": _COUNT_SECONDS,
        }
        program = (SCRIPTS / "appliance_look.py").read_text("utf-8")
        self._session.call("begin", deadline=SHORT, program=program, asked=asked, scratch=scratch)

    def state(self) -> State:
        said = self._session.call("state", deadline=SHORT)
        found = None if said["result"] is None else parse(said["result"])
        return State(said["phase"], found, said["error"])

    def stop(self) -> None:
        self._session.call("stop", deadline=SHORT)


def parse(said: dict[str, Any]) -> Insides:
    """What appliance_look.py found, typed."""
    systems, trees = [], {}
    for one in said["systems"]:
        systems.append(
            FileSystem(
                device=one["device"],
                type=one["type"],
                label=one["label"],
                point=one["point"],
                why_not=one["why_not"],
                hidden=one["hidden"],
                not_counted=one.get("not_counted", ""),
            )
        )
        for place, (files, newest) in one["trees"].items():
            name = place or systems[-1].name
            trees[name] = Tree(files, newest, files, newest, cut=files >= MOST_FILES)
    return Insides(
        disks=tuple(GuestDisk(disk["target"], disk["bytes"], "") for disk in said["disks"]),
        systems=tuple(systems),
        lacking={one["point"]: one["device"] for one in said["lacking"]},
        trees=trees,
    )

"""Everything that a rehearsal touches outside the panel, in memory: one scene, seen through the
same narrow interfaces. `fails["stage.overlay"] = error` makes that one call fail."""

import base64
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from labpanel.adapters.appliance import State
from labpanel.adapters.errors import Refused
from labpanel.adapters.machine import Machine
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.stage import Resources
from labpanel.lib.guest import FileSystem, GuestDisk, Insides, Tree
from labpanel.lib.shapes import Endpoint

MIB, GIB = 1 << 20, 1 << 30
_RUNNING, _PAUSED = 1, 3  # virDomainState

# Two disks with one file system each, as the appliance sees them.
WHOLE = Insides(
    disks=(GuestDisk("vda", 8 * MIB, ""), GuestDisk("vdb", 8 * MIB, "")),
    systems=(FileSystem("vda1", "ext4", point="/"), FileSystem("vdb", "ext4", point="/home")),
    trees={
        "/": Tree(50, 1_700_000_000, 50, 1_700_000_000),
        "/home": Tree(245, 1_700_000_000, 245, 1_700_000_000),
    },
)


class Ground:
    """What is asked (in order), what exists on the hosts, and how the guest behaves."""

    def __init__(self, xml: str) -> None:
        self.xml = xml
        self.asked: list[str] = []
        self.fails: dict[str, BaseException] = {}
        self.resources = Resources(8 * GIB, 6 * GIB, 4, kvm=False)
        self.free_bytes = 100 * GIB
        self.used_bytes = MIB
        self.folders: set[str] = set()
        self.domains: dict[str, str] = {}
        self.locked = ""
        self.silent_for = 1
        self.live_answers = False
        self.same_child = True
        self.state = _RUNNING
        self.console = "booted\n"
        self.inside: dict[str, str] = {}
        self.has_guestfs = True
        self.on_disks = State("", WHOLE, "")
        self.during_boot: Callable[[], None] = lambda: None

    def say(self, name: str) -> None:
        self.asked.append(name)
        if name in self.fails:
            raise self.fails[name]

    @contextlib.contextmanager
    def opened(self, endpoint: Endpoint, channel: str = "main") -> Iterator["FakeLibvirt"]:
        yield FakeLibvirt(self)

    @contextlib.contextmanager
    def private_machine(self, endpoint: Endpoint, channel: str) -> Iterator[Machine]:
        yield Machine(endpoint, channel)

    @contextlib.contextmanager
    def relayed(self, origin: Machine, there: Machine, socket: str, folder: str) -> Iterator[str]:
        self.say("relay")
        yield socket

    def stop(self) -> None:
        """The guest stops on a write that found no room."""
        self.state = _PAUSED


class FakeLibvirt:
    """Hypervisor. Programs are answered by what `inside` says of the VM with that UUID."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def call(self, name: str, *, deadline: float, **arguments: Any) -> Any:
        ground = self._ground
        ground.say(name)
        match name:
            case "qemu_owner":
                return [64055, 64055]
            case "start_transient":
                ground.domains[_between(arguments["xml"], "uuid")] = arguments["xml"]
                ground.during_boot()
                return {}
            case "end_transient":
                return ground.domains.pop(arguments["uuid"], None) is not None
            case "transient_state":
                known = arguments["uuid"] in ground.domains
                state = ground.state if known else None
                return {"mine": ground.same_child, "known": known, "state": state}
            case "agent_answers" if arguments["uuid"] not in ground.domains:
                return ground.live_answers
            case "agent_answers":
                ground.silent_for -= 1
                return ground.silent_for < 0
            case "agent_run":
                return {"ended": True, "status": 0, "out": self._run(arguments)}
            case "screenshot":
                return base64.b64encode(b"P6\n4 2\n255\n" + bytes(24)).decode()
            case _:
                raise Refused(f"{name} is unknown here.")

    def _run(self, arguments: dict[str, Any]) -> str:
        """The facts, or, where places are given too, the files below them."""
        who = "copy" if arguments["uuid"] in self._ground.domains else "live"
        what = "trees" if len(arguments["words"]) > 4 else "facts"
        return self._ground.inside[f"{who} {what}"]


class FakeStage(contextlib.AbstractContextManager[Any]):
    """Stage."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.machine = Machine(Endpoint("beta", "root@beta"))
        self.scratch = ""

    def __exit__(self, *_: object) -> None:
        """The script cleans up by itself; so does this."""
        self._ground.folders.discard(self.scratch)

    def resources(self) -> Resources:
        self._ground.say("stage.resources")
        return self._ground.resources

    def room(self, path: str) -> dict[str, Any]:
        return {"path": path, "available_bytes": self._ground.free_bytes, "writable": True}

    def existing(self, paths: Sequence[str]) -> list[str]:
        return list(paths)

    def set_up(self, scratch: str, domain: str, owner: Sequence[int] | None) -> str:
        self.scratch = scratch
        self._ground.folders.add(scratch)
        self._ground.say("stage.set_up")
        return "/run/libvirt/labpanel-x"

    def tear_down(self) -> None:
        self._ground.say("stage.tear_down")
        self._ground.folders.discard(self.scratch)

    def sockets(self) -> str:
        return "/run/labpanel-y"

    def hand_over(self, name: str, socket: str) -> str:
        self._ground.say("stage.hand_over")
        return f"/run/libvirt/labpanel-x/{name}"

    def overlay(self, name: str, virtual_bytes: int, socket: str, export: str) -> str:
        self._ground.say("stage.overlay")
        return f"{self.scratch}/{name}.qcow2"

    def keep(self, name: str, content: str) -> str:
        return f"{self.scratch}/{name}"

    def used(self) -> int:
        return self._ground.used_bytes

    def console(self) -> str:
        return self._ground.console

    def clear(self, scratch: str, sockets: str) -> list[str]:
        self._ground.say("stage.clear")
        self._ground.folders.discard(scratch)
        return [scratch]


class FakeAppliance(contextlib.AbstractContextManager[Any]):
    """Appliance."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def __exit__(self, *_: object) -> None:
        """It goes with its session."""

    def begin(self, sources: Sequence[Any], **asked: Any) -> None:
        self._ground.say("appliance.begin")
        if not self._ground.has_guestfs:
            raise ScriptRefused("no-guestfs", "python3-guestfs is not installed there")

    def state(self) -> State:
        return self._ground.on_disks

    def stop(self) -> None:
        self._ground.say("appliance.stop")


class FakeKeeper(contextlib.AbstractContextManager[Any]):
    """Keeper, as far as a rehearsal reads a store."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.machine = Machine(Endpoint("beta", "root@beta"))

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def lock(self, vm_uuid: str, *, exclusive: bool) -> None:
        self._ground.say("keeper.lock")
        self._ground.locked = "exclusive" if exclusive else "shared"

    def path_of(self, vm_uuid: str, key: str, file: str) -> str:
        return f"/srv/store/{vm_uuid}/{key}/{file}"

    def read_text(self, vm_uuid: str, key: str, name: str) -> str:
        self._ground.say("keeper.read_text")
        return self._ground.xml

    def serve(self, name: str, path: str) -> str:
        self._ground.say("keeper.serve")
        return f"/run/labpanel-z/{name}"

    def manifest(self, vm_uuid: str, key: str) -> dict[str, Any]:
        self._ground.say("keeper.manifest")
        return {}


def _between(xml: str, tag: str) -> str:
    return xml.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]

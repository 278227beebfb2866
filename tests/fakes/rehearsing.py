"""Everything that a rehearsal touches outside the panel, in memory: one scene, seen through the
same narrow interfaces. `fails["workspace.overlay"] = error` makes that one call fail."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labpanel.adapters.errors import Refused
from labpanel.adapters.libvirt.uses.agent import Ran
from labpanel.adapters.libvirt.uses.jobs import Rehearses
from labpanel.adapters.libvirt.uses.transient import TransientState
from labpanel.adapters.rehearsal.appliance import ApplianceState
from labpanel.adapters.rehearsal.workspace import Resources
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.lib.folder_room import FolderRoom
from labpanel.lib.guest import GuestDisk, GuestFileSystem, GuestMount, Insides, Tree
from labpanel.lib.shapes import Endpoint
from labpanel.lib.vm_state import PAUSED, RUNNING
from tests.fakes.beside import FakeSmallFiles
from tests.fakes.told import Told

MIB, GIB = 1 << 20, 1 << 30

# Two disks with one file system each, as the appliance sees them.
WHOLE = Insides(
    disks=(GuestDisk("vda", 8 * MIB, ""), GuestDisk("vdb", 8 * MIB, "")),
    systems=(
        GuestFileSystem("vda1", "ext4", point="/"),
        GuestFileSystem("vdb", "ext4", point="/home"),
    ),
    trees={
        "/": Tree(50, 1_700_000_000, 50, 1_700_000_000),
        "/home": Tree(245, 1_700_000_000, 245, 1_700_000_000),
    },
)


class Ground(Told["FakeLibvirt"]):
    """What is asked (in order), what exists on the hosts, and how the guest behaves."""

    def __init__(self, xml: str) -> None:
        super().__init__()
        self.xml = xml
        self.small: dict[tuple[str, str], bytes] = {}
        self.resources = Resources(8 * GIB, 6 * GIB, 4, kvm=False)
        self.free_bytes = 100 * GIB
        self.used_bytes = MIB
        self.folders: set[str] = set()
        self.domains: dict[str, str] = {}
        self.locked = ""
        self.silent_for = 1
        self.live_answers = False
        self.same_child = True
        self.state = RUNNING
        self.console = "booted\n"
        self.inside: dict[str, str] = {}
        self.has_guestfs = True
        self.on_disks = ApplianceState("", WHOLE, "")
        self.during_boot: Callable[[], None] = lambda: None

    def libvirt(self) -> "FakeLibvirt":
        return FakeLibvirt(self)

    def stop(self) -> None:
        """The guest stops on a write that found no room."""
        self.state = PAUSED


class FakeLibvirt(Rehearses):
    """Programs are answered by what `inside` says of the VM with that UUID; the agent lists
    nothing by itself."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def qemu_owner(self) -> tuple[int, int] | None:
        self._ground.say("qemu_owner")
        return 64055, 64055

    def start_transient(self, xml: str) -> None:
        self._ground.say("start_transient")
        self._ground.domains[_between(xml, "uuid")] = xml
        self._ground.during_boot()

    def transient_state(self, uuid: str) -> TransientState:
        self._ground.say("transient_state")
        known = uuid in self._ground.domains
        state = self._ground.state if known else ""
        return TransientState(self._ground.same_child, known, state)

    def end_transient(self, uuid: str) -> bool:
        self._ground.say("end_transient")
        return self._ground.domains.pop(uuid, None) is not None

    def screenshot(self, uuid: str) -> bytes:
        self._ground.say("screenshot")
        return b"P6\n4 2\n255\n" + bytes(24)

    def agent_answers(self, uuid: str, *, seconds: int) -> bool:
        self._ground.say("agent_answers")
        if uuid not in self._ground.domains:
            return self._ground.live_answers
        self._ground.silent_for -= 1
        return self._ground.silent_for < 0

    def agent_run(self, uuid: str, words: Sequence[str], *, seconds: int) -> Ran:
        """The facts, or, where places are given too, the files below them."""
        self._ground.say("agent_run")
        who = "copy" if uuid in self._ground.domains else "live"
        what = "trees" if len(words) > 4 else "facts"
        return Ran(ended=True, status=0, out=self._ground.inside[f"{who} {what}"])

    def agent_mounts(self, uuid: str, *, seconds: int) -> tuple[GuestMount, ...]:
        raise Refused("guest-get-fsinfo is unknown here.")

    def agent_disks(self, uuid: str, *, seconds: int) -> tuple[GuestDisk, ...]:
        raise Refused("guest-get-disks is unknown here.")


class FakeWorkspace(contextlib.AbstractContextManager[Any]):
    """RehearsalWorkspace."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.machine = Machine(Endpoint("beta", "root@beta"))
        self.scratch = ""

    def __exit__(self, *_: object) -> None:
        """The program cleans up when it ends; so does this."""
        self._ground.folders.discard(self.scratch)

    def resources(self) -> Resources:
        self._ground.say("workspace.resources")
        return self._ground.resources

    def room(self, path: str) -> FolderRoom:
        return FolderRoom(path, self._ground.free_bytes, 200 << 30, 1, writable=True)

    def existing(self, paths: Sequence[str]) -> list[str]:
        return list(paths)

    def set_up(self, scratch: str, domain: str, owner: Sequence[int] | None) -> str:
        self.scratch = scratch
        self._ground.folders.add(scratch)
        self._ground.say("workspace.set_up")
        return "/run/libvirt/labpanel-x"

    def tear_down(self) -> None:
        self._ground.say("workspace.tear_down")
        self._ground.folders.discard(self.scratch)

    def sockets(self) -> str:
        return "/run/labpanel-y"

    def hand_over(self, name: str, socket: str) -> str:
        self._ground.say("workspace.hand_over")
        return f"/run/libvirt/labpanel-x/{name}"

    def overlay(self, name: str, virtual_bytes: int, socket: str, export: str) -> str:
        self._ground.say("workspace.overlay")
        return f"{self.scratch}/{name}.qcow2"

    def give(self, name: str) -> None:
        self._ground.say(f"workspace.give {name}")

    def used(self) -> int:
        return self._ground.used_bytes

    def console(self) -> str:
        return self._ground.console

    def clear(self, scratch: str, sockets: str) -> list[str]:
        self._ground.say("workspace.clear")
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

    def state(self) -> ApplianceState:
        return self._ground.on_disks

    def stop(self) -> None:
        self._ground.say("appliance.stop")


class FakeKeeper(FakeSmallFiles[Ground], contextlib.AbstractContextManager[Any]):
    """Keeper, as far as a rehearsal reads a store."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
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

    def serve(self, name: str, path: str, known: Mapping[str, str | None] | None = None) -> str:
        self._ground.say("keeper.serve")
        return f"/run/labpanel-z/{name}"

    def manifest(self, vm_uuid: str, key: str) -> None:
        """Only that the store answers."""
        self._ground.say("keeper.manifest")


def _between(xml: str, tag: str) -> str:
    return xml.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]

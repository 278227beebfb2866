"""The place on a host where a generation is rehearsed: onhost/rehearsal/workspace.py, typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labpanel.adapters.images.image_host import SHORT, ImageHost
from labpanel.adapters.ssh.machine import Machine


@dataclass(frozen=True, slots=True)
class Resources:
    """What a machine can spare; memory in bytes."""

    memory_bytes: int
    available_bytes: int
    cpus: int
    kvm: bool


class RehearsalWorkspace(ImageHost):
    """One machine for one rehearsal. What it makes is gone when it is closed, or its connection
    is cut. Raises ScriptRefused when the program refuses."""

    program = "rehearsal.workspace"

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.scratch = ""

    def resources(self) -> Resources:
        found: Resources = self._session.call("resources", shape=Resources, deadline=SHORT)
        return found

    def set_up(self, scratch: str, domain: str, owner: Sequence[int] | None) -> str:
        """Make the folders; the path of the one for sockets."""
        given = None if owner is None else list(owner)
        self.scratch = scratch
        return self._text("set_up", scratch=scratch, domain=domain, owner=given)

    def tear_down(self) -> None:
        """Remove the folders before the session ends, so that it is seen."""
        self._session.call("tear_down", deadline=SHORT)

    def hand_over(self, name: str, socket: str) -> str:
        """A name for the socket under which QEMU may connect to it."""
        return self._text("hand_over", name=name, socket=socket)

    def overlay(self, name: str, virtual_bytes: int, socket: str, export: str) -> str:
        """An empty image over the NBD export; its path."""
        return self._text(
            "overlay", name=name, virtual_bytes=virtual_bytes, socket=socket, export=export
        )

    def give(self, name: str) -> None:
        """Let QEMU read and write a file that was put into the scratch folder."""
        self._session.call("give", deadline=SHORT, name=name)

    def used(self) -> int:
        """Bytes that the scratch folder takes."""
        taken: int = self._session.call("used", shape=int, deadline=SHORT)
        return taken

    def console(self) -> str:
        """The end of what the guest wrote to its serial port."""
        return self._text("console")

    def clear(self, scratch: str, sockets: str) -> list[str]:
        """Remove what a dead worker's rehearsal left; the folders that were there."""
        gone: Any = self._session.call("clear", deadline=SHORT, scratch=scratch, sockets=sockets)
        return list(gone)

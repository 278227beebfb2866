"""A host as the ground of a move: scripts/ground.py, typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labpanel.adapters.script_session import Front

SHORT, LONG = 20, 600


@dataclass(frozen=True, slots=True)
class Room:
    """The file system that holds a folder, or would. `device` is its number on that host."""

    exists: bool
    device: int
    available_bytes: int
    mount_point: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Ground:
    """What a host has and lacks for one VM."""

    taken: tuple[str, ...]
    rooms: dict[str, Room]
    missing: tuple[str, ...]
    missing_programs: tuple[str, ...]
    bridges: tuple[str, ...]
    interfaces: tuple[str, ...]
    memory_available: int
    root: bool


class GroundWork(Front):
    """One host for one piece of work. Raises ScriptRefused for a no, with its sentence."""

    modules = ("wire", "ground")

    def look(
        self,
        paths: Sequence[str],
        folders: Sequence[str],
        needed: Sequence[str] = (),
        programs: Sequence[str] = (),
    ) -> Ground:
        said = self._call(
            "look",
            paths=list(paths),
            folders=list(folders),
            needed=list(needed),
            drivers=list(programs),
        )
        return Ground(
            taken=tuple(said["taken"]),
            rooms={name: Room(**room) for name, room in said["rooms"].items()},
            missing=tuple(said["missing"]),
            missing_programs=tuple(said["missing_programs"]),
            bridges=tuple(said["bridges"]),
            interfaces=tuple(said["interfaces"]),
            memory_available=said["memory_available"],
            root=said["root"],
        )

    def allocated(self, paths: Sequence[str]) -> dict[str, int]:
        """Bytes that each image takes on its file system."""
        said = self._call("sizes", paths=list(paths))
        return {path: size["allocated"] for path, size in said.items()}

    def create(self, token: str, path: str, form: str, virtual_bytes: int) -> None:
        self._call(
            "create", deadline=LONG, token=token, path=path, form=form, virtual_bytes=virtual_bytes
        )

    def write_file(self, token: str, path: str, content: str) -> None:
        self._call("write_file", token=token, path=path, content=content)

    def read_file(self, path: str) -> str:
        content: str = self._call("read_file", path=path)
        return content

    def unmark(self, token: str, paths: Sequence[str]) -> None:
        self._call("unmark", token=token, paths=list(paths))

    def remove(self, token: str, paths: Sequence[str]) -> list[str]:
        """Remove this move's own images, told by their mark; those that were removed."""
        gone: list[str] = self._call("remove", deadline=LONG, token=token, paths=list(paths))
        return gone

    def aside(self, paths: Sequence[str], suffix: str) -> list[str]:
        kept: list[str] = self._call("aside", paths=list(paths), suffix=suffix)
        return kept

    def lend(self, token: str, vm_name: str) -> str:
        folder: str = self._call("lend", token=token, vm_name=vm_name)
        return folder

    def hand_over(self, paths: Sequence[str], vm_name: str) -> None:
        self._call("hand_over", paths=list(paths), vm_name=vm_name)

    def clear(self, token: str) -> None:
        self._call("clear", token=token)

    def check(self, path: str, form: str) -> None:
        self._call("check", deadline=LONG, path=path, form=form)

    def _call(self, verb: str, *, deadline: float = SHORT, **arguments: Any) -> Any:
        return self._session.call(verb, deadline=deadline, **arguments)

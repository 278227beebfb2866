"""A host as the ground of a move: onhost/moving/move_host.py, typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labpanel.adapters.ssh.session import Front

SHORT, LONG = 20, 600
LENT = "/run/libvirt/labpanel-"  # as onhost/moving/move_host.py makes it


@dataclass(frozen=True, slots=True)
class FolderRoom:
    """The file system that holds a folder, or would. `device` is its number on that host."""

    exists: bool
    device: int
    available_bytes: int
    mount_point: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class MoveHostFacts:
    """What a host has and lacks for one VM."""

    taken: tuple[str, ...]
    rooms: dict[str, FolderRoom]
    missing: tuple[str, ...]
    missing_programs: tuple[str, ...]
    bridges: tuple[str, ...]
    interfaces: tuple[str, ...]
    memory_available: int
    root: bool


@dataclass(frozen=True, slots=True)
class ImageMarks:
    """`corrupt`: files that QEMU has marked so; `inside` snapshots of the image by name, of
    `inside_count`; `elsewhere`: its data lies in another file; `encrypted`: QEMU needs a key."""

    corrupt: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    inside_count: int = 0
    elsewhere: bool = False
    encrypted: bool = False


class MoveHost(Front):
    """One host for one piece of work. Raises ScriptRefused when the program refuses."""

    program = "moving.move_host"

    def look(
        self,
        paths: Sequence[str],
        folders: Sequence[str],
        needed: Sequence[str] = (),
        programs: Sequence[str] = (),
    ) -> MoveHostFacts:
        said: MoveHostFacts = self._call(
            "look",
            paths=list(paths),
            folders=list(folders),
            needed=list(needed),
            drivers=list(programs),
            shape=MoveHostFacts,
        )
        return said

    def allocated(self, paths: Sequence[str]) -> dict[str, int]:
        """Bytes that each image takes on its file system."""
        shape = dict[str, dict[str, int]]
        said: dict[str, dict[str, int]] = self._call("sizes", shape=shape, paths=list(paths))
        return {path: size.get("allocated", 0) for path, size in said.items()}

    def image_marks(self, images: Sequence[tuple[str, str]]) -> list[ImageMarks]:
        """What a copy of each (path, format) would not show; nothing of what cannot be read."""
        said: list[ImageMarks] = self._call(
            "image_marks", shape=list[ImageMarks], images=[list(image) for image in images]
        )
        return said

    def create(self, token: str, path: str, image_format: str, virtual_bytes: int) -> None:
        self._call(
            "create",
            deadline=LONG,
            token=token,
            path=path,
            image_format=image_format,
            virtual_bytes=virtual_bytes,
        )

    def write_file(self, token: str, path: str, content: str) -> None:
        self._call("write_file", token=token, path=path, content=content)

    def read_file(self, path: str) -> str:
        content: str = self._call("read_file", shape=str, path=path)
        return content

    def unmark(self, token: str, paths: Sequence[str]) -> None:
        self._call("unmark", token=token, paths=list(paths))

    def remove(self, token: str, paths: Sequence[str]) -> list[str]:
        """Remove this move's own images, told by their mark; those that were removed."""
        gone: list[str] = self._call(
            "remove", shape=list[str], deadline=LONG, token=token, paths=list(paths)
        )
        return gone

    def aside(self, paths: Sequence[str], suffix: str) -> list[str]:
        kept: list[str] = self._call("aside", shape=list[str], paths=list(paths), suffix=suffix)
        return kept

    def lend(self, token: str, vm_name: str) -> str:
        """Make the folder for a move's sockets; its path, which is known here: the other host's
        libvirt opens a URI with it, and a file of that name is unlinked there."""
        self._call("lend", token=token, vm_name=vm_name)
        return f"{LENT}{token}"

    def hand_over(self, paths: Sequence[str], vm_name: str) -> None:
        self._call("hand_over", paths=list(paths), vm_name=vm_name)

    def clear(self, token: str) -> None:
        self._call("clear", token=token)

    def check(self, path: str, image_format: str) -> None:
        self._call("check", deadline=LONG, path=path, image_format=image_format)

    def _call(self, verb: str, *, deadline: float = SHORT, **arguments: Any) -> Any:
        return self._session.call(verb, deadline=deadline, **arguments)

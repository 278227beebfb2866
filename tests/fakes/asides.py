"""Folders of a host in memory that take QEMU's files, as images/aside.py makes them.

The words are the kernel's (errno(3)), as dd repeats them.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

from labpanel.adapters.ssh.session import ScriptRefused


@dataclass
class Places:
    """`no_writes`: by folder, why nothing can be written there. `made` are folders of ours."""

    no_writes: dict[str, str] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)


class HasPlaces(Protocol):
    places: Places
    files: set[str]

    def say(self, name: str) -> None: ...


class FakeAsides:
    _scene: Any

    def takes_writes(self, folder: str) -> str:
        return _places(self._scene).no_writes.get(folder, "")

    def make_aside(self, base: str, name: str, boot: str) -> str:
        """A name that is taken is refused, as mkdir(2) does."""
        scene: HasPlaces = self._scene
        scene.say("images.make_aside")
        path = f"{base}/{name}"
        why = scene.places.no_writes.get(base) or ("File exists" * (path in scene.places.made))
        if why:
            raise ScriptRefused("not-writable", f"{base} takes no writes of QEMU ({why})")
        scene.places.made.add(path)
        return path

    def remove_aside(self, path: str) -> bool:
        """Only an empty one goes, as with rmdir(2)."""
        scene: HasPlaces = self._scene
        if any(file.startswith(f"{path}/") for file in scene.files):
            return False
        there = path in scene.places.made
        scene.places.made.discard(path)
        return there


def _places(scene: HasPlaces) -> Places:
    return scene.places

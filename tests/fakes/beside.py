"""Stands in for onhost/images/beside.py: files of a host, as a dictionary."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from labpanel.adapters.images.beside_host import TakenFile
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Pieces
from labpanel.lib.kept_files import PIECE, TPM, tpm_folder


@dataclass
class FakeBesideHost:
    """As the script does, it refuses what is absent, too large, or there already. `busy` are paths
    that are written to whenever they are read."""

    held: dict[str, bytes] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    there: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=lambda: {"swtpm"})
    owned: set[str] = field(default_factory=set)
    _taken: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    @property
    def open(self) -> list[str]:
        """What was taken and not left."""
        return list(self._taken)

    def take(self, name: str, path: str, most: int) -> TakenFile:
        if path not in self.held:
            raise ScriptRefused("absent", f"{path} does not exist.")
        if len(self.held[path]) > most:
            raise ScriptRefused("large", f"{path} has more than {most >> 20} MiB.")
        self._taken[name] = path
        content = self.held[path]
        return TakenFile(len(content), hashlib.sha256(content).hexdigest())

    def pieces(self, name: str, size: int) -> Iterator[tuple[int, str]]:
        content = self.held[self._taken[name]]
        for offset in range(0, max(size, 1), PIECE):
            yield offset, content[offset : offset + PIECE].hex()

    def leave(self, name: str) -> bool:
        return self._taken.pop(name) not in self.busy

    def make(self, path: str, pieces: Iterator[tuple[int, str]], alive: Callable[[], None]) -> str:
        if path in {*self.held, *self.there}:
            raise ScriptRefused("exists", f"{path} exists already; nothing was written over it.")
        self.held[path] = b""
        self.there.add(path)
        for _, content in pieces:
            alive()
            self.held[path] += bytes.fromhex(content)
        return hashlib.sha256(self.held[path]).hexdigest()

    def make_parent(self, path: str) -> None:
        pass

    def make_tpm(self, uuid: str, file: str) -> str:
        own = tpm_folder(uuid)
        if any(path.startswith(f"{own}/") for path in self.held):
            raise ScriptRefused("exists", f"{own} exists already; nothing was written over it.")
        return f"{own}/{TPM[file]}/{file}"

    def own_tpm(self, uuid: str) -> None:
        self.owned.add(uuid)

    def remove_tpm(self, uuid: str) -> None:
        for name, inner in TPM.items():
            path = f"{tpm_folder(uuid)}/{inner}/{name}"
            self.held.pop(path, None)
            self.there.discard(path)

    def has(self, program: str) -> bool:
        return program in self.programs


class Says(Protocol):
    """Of a Scene, what the small files of generations need."""

    small: dict[tuple[str, str], bytes]

    def say(self, name: str) -> None: ...


Scene = TypeVar("Scene", bound=Says)


class FakeSmallFiles(Generic[Scene]):
    """Of Keeper, the files of generations that travel piece by piece."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def write_small(self, vm_uuid: str, key: str, name: str, pieces: Pieces) -> None:
        self._scene.say("keeper.write_small")
        content = b"".join(bytes.fromhex(each) for _, each in pieces)
        self._scene.small[key, name] = content

    def borrow(self, vm_uuid: str, key: str, name: str, of: str, digest: str) -> bool:
        self._scene.say("keeper.borrow")
        found = self._scene.small.get((of, name))
        if found is None or hashlib.sha256(found).hexdigest() != digest:
            return False
        self._scene.small[key, name] = found
        return True

    def measure(self, vm_uuid: str, key: str, names: Sequence[str]) -> dict[str, int]:
        return {name: len(self._scene.small[key, name]) for name in names}

    def read_small(self, vm_uuid: str, key: str, name: str, size: int) -> Iterator[tuple[int, str]]:
        content = self._scene.small[key, name]
        for offset in range(0, max(size, 1), PIECE):
            yield offset, content[offset : offset + PIECE].hex()

    def rehash(
        self, vm_uuid: str, key: str, files: Mapping[str, str], on_progress: Any
    ) -> list[str]:
        return [
            f"{name} is not what was written"
            for name, digest in files.items()
            if hashlib.sha256(self._scene.small[key, name]).hexdigest() != digest
        ]

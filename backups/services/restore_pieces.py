"""What a restore reads: which disk of which generation, and the stores they lie in, opened."""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backups.models import Generation, Store
from backups.services.identity import panel_id
from labpanel.adapters import qemu_img
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.machine import Machine
from labpanel.adapters.mover import Mover
from labpanel.adapters.nbd_relay import private_machine
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs.work import Failed

_MEASURE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Piece:
    """One disk of one generation; `disk` is its entry in the manifest."""

    generation: Generation
    disk: dict[str, Any]

    @property
    def target(self) -> str:
        return str(self.disk["target"])

    @property
    def key(self) -> str:
        return self.generation.key

    @property
    def vm_uuid(self) -> str:
        return str(self.generation.vm_uuid)

    @property
    def format(self) -> str:
        return str(self.disk["source_format"])

    @property
    def virtual_bytes(self) -> int:
        return int(self.disk["virtual_bytes"])

    @property
    def label(self) -> str:
        """For names of files."""
        return f"{self.key}-{self.target}"


def pieces_of(keys: dict[str, str]) -> list[Piece]:
    """`keys` are a job's: target → generation. Raises Failed if one is gone meanwhile."""
    known = Generation.objects.select_related("store__host").in_bulk(
        set(keys.values()), field_name="key"
    )
    found = []
    for target, key in sorted(keys.items()):
        generation = known.get(key)
        if generation is None:
            raise Failed(f"Generation {key} was removed meanwhile.")
        disks = generation.manifest["disks"]
        found.append(Piece(generation, next(d for d in disks if d["target"] == target)))
    return found


@dataclass(frozen=True, slots=True)
class Opened:
    """A store at work for this restore. `folder` is for sockets on its machine."""

    machine: Machine
    keeper: Keeper
    mover: Mover
    folder: str


class Sources:
    """The stores that a restore reads from, each opened once, under the VM's shared lock."""

    def __init__(self, stack: contextlib.ExitStack, channel: str) -> None:
        self._stack, self._channel = stack, channel
        self._opened: dict[int, Opened] = {}

    def of(self, generation: Generation) -> Opened:
        store = generation.store
        if store.pk not in self._opened:
            self._opened[store.pk] = self._open(store, str(generation.vm_uuid))
        return self._opened[store.pk]

    def _open(self, store: Store, vm_uuid: str) -> Opened:
        enter = self._stack.enter_context
        machine = enter(private_machine(store.endpoint(), self._channel))
        keeper = enter(Keeper(machine, store.path, panel_id(), str(store.store_id)))
        keeper.lock(vm_uuid, exclusive=False)
        return Opened(machine, keeper, enter(Mover(machine)), enter(ImageHost(machine)).sockets())

    def path(self, piece: Piece, file: str) -> str:
        return self.of(piece.generation).keeper.path_of(piece.vm_uuid, piece.key, file)

    def text(self, generation: Generation, name: str) -> str:
        """A file of a generation, held against its manifest."""
        keeper = self.of(generation).keeper
        text = keeper.read_text(str(generation.vm_uuid), generation.key, name)
        content = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
        if hashlib.sha256(content).hexdigest() != generation.manifest["files"].get(name):
            raise Failed(f"{name} of generation {generation.key} is not what was written.")
        return content.hex() if name == "nvram.fd" else text

    def content_bytes(self, pieces: Sequence[Piece]) -> int:
        """Room that the disks need, without their holes."""
        return sum(
            qemu_img.content_bytes(
                self.of(piece.generation).machine,
                self.path(piece, piece.disk["file"]),
                deadline=_MEASURE_SECONDS,
            )
            for piece in pieces
        )

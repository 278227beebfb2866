"""What a restore reads: which disk of which generation, and the stores they lie in, opened."""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from backups.models import Generation, Store
from backups.rules.copies.trust import refused
from backups.selectors.copies.lineages import lineages
from backups.services.index.channels import job_machine
from backups.services.index.evidence import StoreFile
from backups.services.index.identity import panel_id
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Mover
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs.work import Failed, Work
from labpanel.lib.store_format.manifest import DiskEntry


@dataclass(frozen=True, slots=True)
class Piece:
    """One disk of one generation; `disk` is its entry in the manifest."""

    generation: Generation
    disk: DiskEntry

    @property
    def target(self) -> str:
        return self.disk.target

    @property
    def key(self) -> str:
        return self.generation.key

    @property
    def vm_uuid(self) -> str:
        return str(self.generation.vm_uuid)

    @property
    def format(self) -> str:
        return self.disk.source_format

    @property
    def off_and_raw(self) -> bool:
        """Read from the file itself: of a disk that QEMU encrypts it holds what was encrypted, as
        copies of earlier versions may. Through QEMU, and from qcow2, content is plain."""
        off = Generation.Consistency.OFF
        return self.format == "raw" and self.generation.consistency == off

    @property
    def virtual_bytes(self) -> int:
        return self.disk.virtual_bytes

    @property
    def kept(self) -> StoreFile:
        """Where evidence belongs that it cannot be read."""
        generation = self.generation
        return StoreFile(generation.store, generation.vm, self.key, self.disk.file)

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
        must_be_trusted(generation)
        disk = generation.manifest.disk(target)
        if disk is None:
            raise Failed(f"Generation {key} does not hold {target}.")
        found.append(Piece(generation, disk))
    return found


def must_be_trusted(generation: Generation) -> None:
    """A look may have found it forged since it was asked for. Raises Failed."""
    if why := refused(generation.trust, generation.key):
        raise Failed(f"Generation {generation.key} {why}: it is not restored.")


@dataclass(frozen=True, slots=True)
class OpenStore:
    """An open store that this restore reads from. `folder` is for sockets on its machine."""

    machine: Machine
    keeper: Keeper
    mover: Mover
    folder: str


class RestoreStores:
    """The stores that a restore reads from, each opened once, under the VM's shared lock."""

    def __init__(self, stack: contextlib.ExitStack, work: Work) -> None:
        self._stack, self._work = stack, work
        self._opened: dict[int, OpenStore] = {}

    def of(self, generation: Generation) -> OpenStore:
        store = generation.store
        if store.pk not in self._opened:
            self._opened[store.pk] = self._open(store, str(generation.vm_uuid))
        return self._opened[store.pk]

    def _open(self, store: Store, vm_uuid: str) -> OpenStore:
        enter = self._stack.enter_context
        machine = enter(job_machine(self._work, store))
        keeper = enter(Keeper(machine, store.path, panel_id(), str(store.store_id)))
        keeper.lock(vm_uuid, exclusive=False)
        return OpenStore(
            machine, keeper, enter(Mover(machine)), enter(ImageHost(machine)).sockets()
        )

    def path(self, piece: Piece, file: str) -> str:
        return self.of(piece.generation).keeper.path_of(piece.vm_uuid, piece.key, file)

    def text(self, generation: Generation, name: str) -> str:
        """A text of a generation, held against its manifest."""
        keeper = self.of(generation).keeper
        text = keeper.read_text(str(generation.vm_uuid), generation.key, name)
        content = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
        if hashlib.sha256(content).hexdigest() != generation.manifest.digests_of_files.get(name):
            raise Failed(f"{name} of generation {generation.key} is not what was written.")
        return text

    def content_bytes(self, pieces: Sequence[Piece]) -> int:
        """Room that the disks need, without their holes."""
        return sum(
            self.of(piece.generation).keeper.content_bytes(
                self.path(piece, piece.disk.file), self._known(piece)
            )
            for piece in pieces
        )

    def serve(self, piece: Piece) -> str:
        """Export a disk's content for reading; the socket on the store's machine."""
        keeper = self.of(piece.generation).keeper
        path = self.path(piece, piece.disk.file)
        return keeper.serve(piece.target, path, self._known(piece))

    def _known(self, piece: Piece) -> dict[str, str | None]:
        found = lineages(piece.generation.vm_uuid, piece.generation.store).get(piece.target)
        return found.parents(piece.key) if found else {}

"""Where a mending finds what rotted: the other stores that hold the VM, and the same one."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backups.models import Generation, Store
from backups.rules.backup.spans import Spans
from backups.rules.copies.trust import DISTRUSTED
from backups.services.index.channels import job_machine
from backups.services.index.generation_reader import GenerationReader
from backups.services.index.identity import panel_id
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.mover import Export
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.nbd_relay import relayed
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.mender import Mender
from labpanel.adapters.store.prover import Prover
from labpanel.jobs.work import Work
from labpanel.lib.store_format.names import image

MOST_VIEWS = 12  # each is a server and a chain of open images


@dataclass(frozen=True, slots=True)
class Other:
    """Another store that holds generations of the VM, opened."""

    name: str
    machine: Machine
    keeper: Keeper
    prover: Prover


class MendSources:
    """Opens the other stores when they are first needed; one that does not answer is left out."""

    def __init__(
        self,
        work: Work,
        one: Generation,
        mender: Mender,
        shelf: GenerationReader,
        stack: contextlib.ExitStack,
    ) -> None:
        self._work, self._one, self._mender, self._shelf = work, one, mender, shelf
        self._stack = stack
        self._others: list[Other] | None = None

    def others(self) -> list[Other]:
        if self._others is None:
            holding = Generation.objects.filter(vm_uuid=self._one.vm_uuid)
            present = holding.exclude(state=Generation.State.MISSING).values("store")
            stores = Store.objects.filter(pk__in=present).exclude(pk=self._one.store_id)
            opened = [self._open(store) for store in stores.select_related("host")]
            self._others = [other for other in opened if other is not None]
        return self._others

    def _open(self, store: Store) -> Other | None:
        with contextlib.ExitStack() as trying:
            machine = trying.enter_context(job_machine(self._work, store))
            try:
                keeper = trying.enter_context(
                    Keeper(machine, store.path, panel_id(), str(store.store_id))
                )
                keeper.lock(str(self._one.vm_uuid), exclusive=False)
                prover = trying.enter_context(Prover(machine, store.path))
            except AdapterError as error:
                self._work.line(f"The store {store.name} cannot help now: {error.sentence}")
                return None
            self._stack.enter_context(trying.pop_all())
        return Other(store.name, machine, keeper, prover)

    def views(self, key: str, target: str, wanted: dict[str, str]) -> tuple[list[Export], Spans]:
        """Views, reachable where the rotten image lies, and what of `wanted` none of them holds;
        what a list promised and its image has not any more is looked for further on."""
        found: list[Export] = []
        uuid, tried = str(self._one.vm_uuid), [key, *self._distrusted()]
        missing = wanted
        while missing and len(found) < MOST_VIEWS:
            before = len(tried)
            for other in self.others():
                for held in other.prover.holding(uuid, target, missing, tried):
                    tried.append(held)
                    found += self._far(other, held, target)
            for held in self._shelf.prover.holding(uuid, target, missing, tried):
                tried.append(held)
                found += self._near(held, target)
            if len(tried) == before:
                break
            lacking = self._mender.lacking(missing, found, self._alive)
            missing = self._mender.wanted(uuid, key, target, lacking) if lacking else {}
        return found, self._mender.lacking(missing, [], self._alive) if missing else []

    def _distrusted(self) -> list[str]:
        """Unsigned copies: nothing is taken from them."""
        rows = Generation.objects.filter(vm_uuid=self._one.vm_uuid, trust__in=DISTRUSTED)
        return list(rows.values_list("key", flat=True))

    def _alive(self, _: dict[str, Any]) -> None:
        self._work.check()

    def _far(self, other: Other, held: str, target: str) -> list[Export]:
        path = other.keeper.path_of(str(self._one.vm_uuid), held, image(target))
        try:
            socket = other.keeper.serve(target, path)
        except ScriptRefused:
            return []  # it cannot be opened there: another one may
        way = relayed(other.machine, self._mender.machine, socket, self._mender.sockets())
        return [Export(self._stack.enter_context(way), target)]

    def _near(self, held: str, target: str) -> list[Export]:
        try:
            path, known = (
                self._shelf.path(held, image(target)),
                self._shelf.parents(held, target),
            )
            return [Export(self._mender.serve(target, path, known), target)]
        except ScriptRefused:
            return []

    def small(self, name: str, sha256: str) -> Iterator[tuple[int, str]] | None:
        """The pieces of a small file with this digest, of any generation of the VM in any store,
        where it is whole: generations of one store may share the rotten one."""
        uuid = str(self._one.vm_uuid)
        keepers: dict[str, Keeper] = {other.name: other.keeper for other in self.others()}
        keepers[self._one.store.name] = self._mender
        rows = Generation.objects.filter(vm_uuid=uuid, store__name__in=keepers)
        trusted = rows.exclude(pk=self._one.pk).exclude(trust__in=DISTRUSTED)
        for row in trusted.select_related("store"):
            if row.manifest.digests_of_files.get(name) != sha256:
                continue
            keeper = keepers[row.store.name]
            with contextlib.suppress(ScriptRefused):  # lost there too
                if keeper.rehash(uuid, row.key, {name: sha256}, lambda _: None):
                    continue
                size = keeper.measure(uuid, row.key, [name])[name]
                return keeper.read_small(uuid, row.key, name, size)
        return None

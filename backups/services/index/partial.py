"""A generation that a backup began in a store: promised only once it is published and known."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from backups.models import Store
from backups.services.index.identity import panel_id
from backups.services.index.index_generation import Misplaced, index_generation
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs.models import Job
from labpanel.lib.store_format.manifest import Manifest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PartialGeneration:
    """`store` is the key of its row, `host` that of the store's machine."""

    KIND: ClassVar[str] = "partial"
    host: int | None
    store: int
    vm_uuid: str
    key: str

    def pay(self, job: Job) -> str:
        """A partial one is removed, a complete one is taken in."""
        store = Store.objects.select_related("host").get(pk=self.store)
        machine = Machine(store.endpoint())
        with Keeper(machine, store.path, panel_id(), str(store.store_id)) as keeper:
            keeper.drop(self.vm_uuid, self.key, known=True)
            manifest = keeper.manifest(self.vm_uuid, self.key)
        if manifest is None:
            return ""
        _take_in(store, manifest)
        return f"generation {self.key} is complete"


def _take_in(store: Store, manifest: Manifest) -> None:
    """What is wrong with it, the next look at the store tells."""
    try:
        index_generation(store, manifest)
    except Misplaced as error:
        log.warning("generation %s in %s: %s", manifest.generation, store.name, error)

"""Look at the stores: room, generations that the panel does not know, ones that are gone, and
half-done ones of jobs that ended."""

import logging
from typing import Any

from django.utils import timezone

from backups.models import Generation, Store
from backups.selectors.drives import file_system_of, keys_below
from backups.services.forget_pruned import forget_pruned
from backups.services.identity import panel_id
from backups.services.index_generation import index_generation, looked
from backups.services.note_store_reading import note_store_reading
from backups.services.record_faults import record_faults
from hosts.models import Host
from labpanel.adapters import bus
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.machine import Machine
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.shapes import PANEL

log = logging.getLogger(__name__)


def look_at_stores() -> None:
    for store in Store.objects.select_related("host"):
        look_at(store)
    bus.publish("coverage")


def look_at(store: Store) -> None:
    """Bring the rows of one store up to date; its error is kept as a sentence."""
    try:
        with Keeper(
            Machine(store.endpoint()), store.path, panel_id(), str(store.store_id)
        ) as keeper:
            seen = keeper.look()
            sweep(keeper, seen["partials"])
    except AdapterError as error:
        log.info("store %s: %s", store.name, error.sentence)
        Store.objects.filter(pk=store.pk).update(error=error.sentence)
        return
    Store.objects.filter(pk=store.pk).update(
        error="",
        looked_at=timezone.now(),
        size_bytes=seen["size_bytes"],
        available_bytes=seen["available_bytes"],
        drives=_drives(store, seen["path"]),
    )
    forget_pruned(store, seen["pruned"])
    take_in(store, seen["generations"])
    note_store_reading(store, seen["size_bytes"], seen["available_bytes"])


def _drives(store: Store, path: str) -> list[str]:
    host = store.host or Host.objects.filter(target=PANEL.target).first()
    file_system = file_system_of(host, path) if host else None
    return sorted(keys_below(file_system)) if file_system else []


def sweep(keeper: Keeper, partials: list[dict[str, str]]) -> None:
    """Remove half-done generations of ours whose job has ended."""
    active = Job.objects.filter(kind="backup", state__in=ACTIVE)
    at_work = {job.state_data.get("key") for job in active}
    for partial in partials:
        if partial["key"] not in at_work:
            keeper.drop(partial["vm_uuid"], partial["key"])


def take_in(store: Store, entries: list[dict[str, Any]]) -> None:
    """Index what lies there, and mark what lay there and is gone."""
    for entry in entries:
        try:
            index_generation(store, entry["manifest"], entry.get("damage", ""))
        except (LookupError, TypeError, ValueError) as error:
            # Unreadable, or written by something else: it harms no other generation.
            damage = entry.get("damage") or f"manifest.json makes no sense: {error!r}"
            seen = {entry["key"]: [looked(entry["key"], damage)]}
            record_faults(seen, {}, timezone.now())
    keys = [entry["key"] for entry in entries]
    store.generations.exclude(key__in=keys).update(
        state=Generation.State.MISSING, damage="The generation is gone from the store."
    )

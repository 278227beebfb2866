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
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.shapes import PANEL

log = logging.getLogger(__name__)
_READ_ONLY = (
    "{store.path} is mounted read-only: what it holds can be read, and nothing new can be kept. "
    "Look why (a drive that fails is a common cause), and mount it writable."
)


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
            seen = _seen(keeper)
            if not seen["read_only"]:
                sweep(keeper, seen["partials"])
    except AdapterError as error:
        log.info("store %s: %s", store.name, error.sentence)
        Store.objects.filter(pk=store.pk).update(error=error.sentence)
        return
    Store.objects.filter(pk=store.pk).update(
        error=_READ_ONLY.format(store=store) if seen["read_only"] else "",
        looked_at=timezone.now(),
        size_bytes=seen["size_bytes"],
        available_bytes=seen["available_bytes"],
        drives=_drives(store, seen["path"]),
        strangers=[*seen["strangers"], *_unknown(seen["generations"])],
    )
    forget_pruned(store, seen["pruned"])
    take_in(store, seen["generations"])
    note_store_reading(store, seen["size_bytes"], seen["available_bytes"])


def _seen(keeper: Keeper) -> dict[str, Any]:
    """What a look finds. A marker that rotted is written anew where a generation proves the store:
    what is not the store that was meant is refused in the end."""
    try:
        return keeper.look()
    except ScriptRefused as refusal:
        if refusal.code not in {"damaged", "not-a-store"} or not keeper.mark_again():
            raise
        log.warning("%s The marker was written anew.", refusal.sentence)
    return keeper.look()


def _unknown(entries: list[dict[str, Any]]) -> list[str]:
    """Generations that cannot say what they are, and that the panel never took in."""
    mute = {entry["key"]: entry for entry in entries if "manifest" not in entry}
    known = Generation.objects.filter(key__in=mute).values_list("key", flat=True)
    return [
        f"{entry['vm_uuid']}/{key}/ ({entry['damage']})"
        for key, entry in mute.items()
        if key not in known
    ]


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

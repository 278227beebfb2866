"""Look at the stores: room, generations that the panel does not know, ones that are gone, and
partial ones of jobs that ended."""

import logging
from collections.abc import Mapping, Sequence

from django.utils import timezone

from backups.models import Generation, Store
from backups.selectors.stores.drives import file_system_of, keys_below
from backups.services.index.forget_pruned import forget_pruned
from backups.services.index.identity import panel_id
from backups.services.index.index_generation import Misplaced, index_generation, mark_damage
from backups.services.index.join_vms import join_vms
from backups.services.index.leftovers import sweep
from backups.services.stores.check_store_room import check_store_room
from backups.services.stores.note_store_reading import note_store_reading
from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.redis import bus
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.answers import Looked
from labpanel.adapters.store.keeper import Keeper
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import PANEL
from labpanel.lib.store_format.found import Entry

log = logging.getLogger(__name__)
_READ_ONLY = (
    "{store.path} is mounted read-only: what it holds can be read, and nothing new can be kept. "
    "Look why (a drive that fails is a common cause), and mount it writable."
)


def look_at_stores() -> None:
    for store in Store.objects.select_related("host"):
        look_at(store)
    join_vms()
    bus.publish("coverage")


def look_at(store: Store) -> None:
    """Bring the rows of one store up to date; its error is kept as a sentence."""
    # A backup may end while the store is looked at: its generation is no gone one.
    before = frozenset(store.generations.values_list("key", flat=True))
    try:
        with Keeper(
            Machine(store.endpoint()), store.path, panel_id(), str(store.store_id)
        ) as keeper:
            seen = _seen(keeper)
            odd = [] if seen.read_only else sweep(keeper, seen.partials)
    except (AdapterError, Refusal) as error:
        log.info("store %s: %s", store.name, error.sentence)
        Store.objects.filter(pk=store.pk).update(error=error.sentence)
        return
    forget_pruned(store, seen.pruned)
    misplaced = take_in(store, seen.entries, seen.unread, before)
    Store.objects.filter(pk=store.pk).update(
        error=_READ_ONLY.format(store=store) if seen.read_only else "",
        looked_at=timezone.now(),
        size_bytes=seen.size_bytes,
        available_bytes=seen.available_bytes,
        drives=_drives(store, seen.path),
        strangers=[*dict.fromkeys([*seen.strangers, *odd, *misplaced, *_unknown(store, seen)])],
    )
    note_store_reading(store, seen.size_bytes, seen.available_bytes)
    store.refresh_from_db(fields=["size_bytes", "available_bytes"])
    check_store_room(store, timezone.now())


def _seen(keeper: Keeper) -> Looked:
    """What a look finds. A marker that rotted is written anew where a generation proves the store:
    what is not the store that was meant is refused in the end."""
    try:
        return keeper.look()
    except ScriptRefused as refusal:
        if refusal.code not in {"damaged", "not-a-store"} or not keeper.mark_again():
            raise
        log.warning("%s The marker was written anew.", refusal.sentence)
    return keeper.look()


def _unknown(store: Store, seen: Looked) -> list[str]:
    """Generations that cannot say what they are, and that the panel never took in from there; and
    folders of VMs that cannot be looked into."""
    without_manifest = {entry.key: entry for entry in seen.entries if entry.manifest is None}
    known = store.generations.filter(key__in=without_manifest).values_list("key", flat=True)
    folders = [f"{uuid}/ ({damage})" for uuid, damage in seen.unread.items()]
    return folders + [
        _named(entry, entry.damage) for key, entry in without_manifest.items() if key not in known
    ]


def _named(entry: Entry, what: str) -> str:
    return f"{entry.vm_uuid}/{entry.key}/ ({what})"


def _drives(store: Store, path: str) -> list[str]:
    host = store.host or Host.objects.filter(target=PANEL.target).first()
    file_system = file_system_of(host, path) if host else None
    return sorted(keys_below(file_system)) if file_system else []


def take_in(
    store: Store, entries: Sequence[Entry], unread: Mapping[str, str], before: frozenset[str]
) -> list[str]:
    """Index what lies there, and mark what lay there and is gone; what cannot be this store's, with
    why. `unread` are VMs whose folder cannot be looked into; `before` are the generations that were
    known when the look began."""
    misplaced = []
    for entry in entries:
        if entry.manifest is None:
            mark_damage(store, entry.key, entry.damage)
            continue
        try:
            index_generation(store, entry.manifest, entry.damage)
        except Misplaced as error:
            misplaced.append(_named(entry, str(error)))
    gone = store.generations.filter(key__in=before - {entry.key for entry in entries})
    for generation in gone.filter(vm_uuid__in=unread):
        mark_damage(store, generation.key, unread[str(generation.vm_uuid)])
    gone.exclude(vm_uuid__in=unread).update(
        state=Generation.State.MISSING, damage="The generation is gone from the store."
    )
    return misplaced

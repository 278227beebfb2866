"""Stores as pages, API and CLI show them, and the default store of a backup."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from django.db.models import Count
from django.utils import timezone

from backups.models import Store
from backups.selectors.stores.drives import keys_below
from backups.selectors.stores.silence import silence_of
from hosts.models import VM, FileSystem
from hosts.selectors.machines import same_machine
from labpanel.lib.naming import pick
from labpanel.lib.refusal import Refusal


class StoreJson(TypedDict):
    """A store; `host` is null for the panel's own machine."""

    name: str
    host: str | None
    path: str
    state: str
    reason: str
    size_bytes: int | None
    available_bytes: int | None
    generations: int
    same_drive_as: list[str]
    looked_at: str | None


@dataclass(frozen=True, slots=True)
class StoreRow:
    """`state` is good, failing (`error` says why) or unknown (its host is silent, as `silent`
    says). `protects_itself` names hosts whose images
    lie on a physical disk of this very store: it never counts as a second place for them."""

    pk: int
    name: str
    host: str | None
    path: str
    state: str
    error: str
    size_bytes: int | None
    available_bytes: int | None
    generations: int
    looked_at: datetime | None
    protects_itself: list[str]
    silent: str = ""

    def as_json(self) -> StoreJson:
        return {
            "name": self.name,
            "host": self.host,
            "path": self.path,
            "state": self.state,
            "reason": self.error or self.silent,
            "size_bytes": self.size_bytes,
            "available_bytes": self.available_bytes,
            "generations": self.generations,
            "same_drive_as": self.protects_itself,
            "looked_at": self.looked_at.isoformat() if self.looked_at else None,
        }


def store_list() -> list[StoreRow]:
    """All stores by name; a constant number of queries."""
    stores = list(Store.objects.select_related("host").annotate(count=Count("generations")))
    below = _hosts_by_drive()
    return [_row(store, store.count, below) for store in stores]


def store_row(store: Store) -> StoreRow:
    return _row(store, store.generations.count(), _hosts_by_drive())


def _hosts_by_drive() -> dict[str, set[str]]:
    """What lies below images (see keys_below) → names of the hosts with images on it."""
    found: dict[str, set[str]] = {}
    holding = FileSystem.objects.filter(images__missing_since=None, images__isnull=False)
    for file_system in holding.select_related("host").prefetch_related("drives").distinct():
        for key in keys_below(file_system):
            found.setdefault(key, set()).add(file_system.host.name)
    return found


def _row(store: Store, count: int, below: dict[str, set[str]]) -> StoreRow:
    silent = silence_of(store, timezone.now())
    known = "unknown" if silent else "good"
    return StoreRow(
        pk=store.pk,
        name=store.name,
        host=store.host.name if store.host else None,
        path=store.path,
        state="failing" if store.error else known,
        error=store.error,
        size_bytes=store.size_bytes,
        available_bytes=store.available_bytes,
        generations=count,
        looked_at=store.looked_at,
        protects_itself=sorted({host for key in store.drives for host in below.get(key, ())}),
        silent=silent,
    )


def find_store(word: str) -> Store:
    """Raises Refusal: 404 with the nearest names, 409 with the choices."""
    stores = Store.objects.select_related("host")
    return pick(word, "store", stores, lambda store: [store.name], lambda store: store.name)


def store_for(vm: VM) -> Store:
    """The default store for a backup of this VM: one that answers, away from the VM's
    host, with the most room. Raises Refusal if there is none at all."""
    stores = list(Store.objects.select_related("host"))
    if not stores:
        raise Refusal("There is no store yet: add one with `./panel store add NAME …`.", 409)
    return max(stores, key=lambda store: _fitness(store, vm))


def _fitness(store: Store, vm: VM) -> tuple[bool, bool, int]:
    away = not same_machine(store.host, vm.host)
    usable = not store.error and not silence_of(store, timezone.now())
    return (usable, away, store.available_bytes or 0)

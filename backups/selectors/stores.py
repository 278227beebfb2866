"""Stores as pages, API and CLI show them, and the one that a backup goes to by itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count

from backups.models import Store
from backups.selectors.drives import keys_below
from hosts.models import VM, FileSystem
from labpanel.lib.naming import pick
from labpanel.lib.refusal import Refusal


@dataclass(frozen=True, slots=True)
class StoreRow:
    """`state` is good or failing (`error` says why). `protects_itself` names hosts whose images
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

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "host": self.host,
            "path": self.path,
            "state": self.state,
            "reason": self.error,
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
    return StoreRow(
        pk=store.pk,
        name=store.name,
        host=store.host.name if store.host else None,
        path=store.path,
        state="failing" if store.error else "good",
        error=store.error,
        size_bytes=store.size_bytes,
        available_bytes=store.available_bytes,
        generations=count,
        looked_at=store.looked_at,
        protects_itself=sorted({host for key in store.drives for host in below.get(key, ())}),
    )


def find_store(word: str) -> Store:
    """Raises Refusal: 404 with the nearest names, 409 with the choices."""
    stores = Store.objects.select_related("host")
    return pick(word, "store", stores, lambda store: [store.name], lambda store: store.name)


def store_for(vm: VM) -> Store:
    """The store that a backup of this VM goes to by itself: one that answers, away from the VM's
    host, with the most room. Raises Refusal if there is none at all."""
    stores = list(Store.objects.select_related("host"))
    if not stores:
        raise Refusal("There is no store yet: add one with `./panel store add NAME …`.", 409)
    return max(stores, key=lambda store: _fitness(store, vm))


def _fitness(store: Store, vm: VM) -> tuple[bool, bool, int]:
    away = store.endpoint().target != vm.host.target
    return (not store.error, away, store.available_bytes or 0)

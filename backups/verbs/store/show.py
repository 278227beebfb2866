"""`./panel store show NAME`: one store."""

from dataclasses import dataclass

from django.utils import timezone

from backups.selectors.stores.store_page import StorePage, StorePageJson, store_page
from backups.selectors.stores.stores import find_store
from labpanel.lib.actor import Actor
from labpanel.lib.durations import ago
from labpanel.lib.units import listed, size, size_of
from labpanel.verbs.fields import word
from labpanel.verbs.output import gap, print_table, say
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class OneStore:
    name: str = word()


def _do(_: Actor, given: OneStore) -> StorePage:
    return store_page(find_store(given.name), timezone.now())


def _as_json(page: StorePage) -> StorePageJson:
    return page.as_json()


def _show(page: StorePage) -> None:
    row = page.row
    say(f"{row.name}: {page.where}, {row.error or row.state}.")
    say(
        f"{size_of(row.available_bytes, row.size_bytes)} free; copies take {size(page.kept_bytes)}."
    )
    say(page.growth_words)
    for speed in page.speeds:
        say(f"Speed: {speed.words}.")
    if row.protects_itself:
        say(f"It lies on the same physical disk as images of {listed(row.protects_itself)}.")
    if page.strangers:
        say("In it, and not the panel's (they are left alone):")
        print_table(["path"], [(path,) for path in page.strangers])
    gap()
    print_table(
        ["vm", "copies", "take", "newest", "never read back", "damaged"],
        [
            (
                vm.name,
                vm.generations,
                size(vm.bytes),
                ago(vm.newest, timezone.now()),
                vm.unread,
                vm.damaged,
            )
            for vm in page.vms
        ],
        "It keeps nothing yet.",
    )


VERBS = (
    Verb(
        "store show",
        "one store: room, growth, speed, what it keeps",
        OneStore,
        _do,
        _as_json,
        ApiRoute("GET", "stores/<str:name>"),
        _show,
    ),
)

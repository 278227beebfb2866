"""`./panel store …`: the directories that keep backups."""

import argparse

from django.utils import timezone

from backups.selectors.store_page import store_page
from backups.selectors.stores import StoreRow, find_store, store_list, store_row
from backups.services.add_store import add_store
from backups.services.remove_store import remove_store
from hosts.selectors.naming import find_host
from labpanel.cli.output import complain, gap, print_json, print_table, say
from labpanel.lib.durations import ago
from labpanel.lib.units import listed, size, size_of

HELP = "add, list, show and remove the directories that keep backups"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a directory of a host, or of this machine, a store")
    add.add_argument("name")
    where = add.add_mutually_exclusive_group(required=True)
    where.add_argument("--host", nargs=2, metavar=("HOST", "PATH"))
    where.add_argument("--local", metavar="PATH", help="a directory of the panel's own machine")
    add.add_argument(
        "--take-over", action="store_true", help="use the store of a panel that is gone for good"
    )
    listing = actions.add_parser("list", help="all stores")
    show = actions.add_parser("show", help="one store: room, growth, speed, what it keeps")
    show.add_argument("name")
    remove = actions.add_parser("remove", help="forget a store; its files stay")
    remove.add_argument("name")
    for one in (add, listing, show):
        one.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    actions = {"add": _add, "list": _list, "show": _show, "remove": _remove}
    return actions[options.action](options)


def _remove(options: argparse.Namespace) -> int:
    say(remove_store(find_store(options.name)))
    return 0


def _add(options: argparse.Namespace) -> int:
    host, path = None, options.local
    if options.host:
        host, path = find_host(options.host[0]), options.host[1]
    store = add_store(options.name, host, path, take_over=options.take_over)
    row = store_row(store)
    if options.json:
        print_json(row.as_json())
    else:
        say(f"{store.name} is {store.where}, with {_room(row)} free.")
    for name in row.protects_itself:
        complain(
            f"It lies on the same physical disk as images of {name}: it never counts as a second "
            f"place for them."
        )
    return 0


def _list(options: argparse.Namespace) -> int:
    rows = store_list()
    if options.json:
        print_json([row.as_json() for row in rows])
        return 0
    print_table(
        ["name", "host", "path", "free", "generations", "state"],
        [
            (
                row.name,
                row.host or "(this machine)",
                row.path,
                _room(row),
                row.generations,
                row.error or row.state,
            )
            for row in rows
        ],
        "There is no store yet: `./panel store add NAME --host HOST PATH`.",
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    page = store_page(find_store(options.name), timezone.now())
    if options.json:
        print_json(page.as_json())
        return 0
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
    return 0


def _room(row: StoreRow) -> str:
    return size(row.available_bytes)

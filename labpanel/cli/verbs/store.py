"""`./panel store …`: the directories that keep backups."""

import argparse

from backups.selectors.stores import StoreRow, store_list, store_row
from backups.services.add_store import add_store
from hosts.selectors.naming import find_host
from labpanel.cli.output import complain, print_json, print_table, say
from labpanel.lib.units import size

HELP = "add and list the directories that keep backups"


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
    for one in (add, listing):
        one.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    return _add(options) if options.action == "add" else _list(options)


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


def _room(row: StoreRow) -> str:
    return size(row.available_bytes)

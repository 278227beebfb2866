"""`./panel store add NAME`: make a directory of a host, or of this machine, a store."""

import argparse
from dataclasses import dataclass

from backups.models import Store
from backups.selectors.stores.lies_on import lies_on
from backups.selectors.stores.stores import StoreJson, store_row
from backups.services.stores.add_store import add_store
from hosts.selectors.naming import find_host
from labpanel.lib.actor import Actor
from labpanel.lib.units import size
from labpanel.verbs.command import Options, PanelCommand, actor_of, add_json, print_answer
from labpanel.verbs.fields import option, word
from labpanel.verbs.output import complain, say
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class AddStore:
    name: str = word()
    path: str = option("the directory")
    host: str = option("whose directory; the panel's own machine's without", "")
    take_over: bool = option("use the store of a panel that is not used any more", False)
    make_folder: bool = option(
        "make the folder if it is missing; never on a mount point without its mount", False
    )


def _do(_: Actor, given: AddStore) -> Store:
    return add_store(
        given.name,
        find_host(given.host) if given.host else None,
        given.path,
        take_over=given.take_over,
        make_folder=given.make_folder,
    )


def _as_json(store: Store) -> StoreJson:
    return store_row(store).as_json()


def _show(store: Store) -> None:
    row = store_row(store)
    say(f"{store.name} is {store.where}, with {size(row.available_bytes)} free.")
    if lies := lies_on(store.host, store.path):
        say(f"It lies on {lies.words}.")


ADD = Verb(
    "store add",
    "make a directory of a host, or of this machine, a store",
    AddStore,
    _do,
    _as_json,
    ApiRoute("POST", "stores", 201),
    _show,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--host", nargs=2, metavar=("HOST", "PATH"))
    where.add_argument("--local", metavar="PATH", help="a directory of the panel's own machine")
    parser.add_argument(
        "--take-over",
        action="store_true",
        help="use the store of a panel that is not used any more",
    )
    parser.add_argument(
        "--make-folder",
        action="store_true",
        help="make the folder if it is missing; never on a mount point without its mount",
    )
    add_json(parser)


def _run(options: Options) -> int:
    host, path = options.host or ("", options.local)
    if options.host and not host:
        find_host(host)  # an empty word names no host: said, not taken for this machine
    given = AddStore(options.name, path, host, options.take_over, options.make_folder)
    store = ADD.perform(actor_of(options), given)
    print_answer(ADD, options, store)
    for name in store_row(store).protects_itself:
        complain(
            f"It lies on the same physical disk as images of {name}: it never counts as a second "
            f"place for them."
        )
    return 0


VERBS = (ADD,)
COMMANDS = (PanelCommand(("store", "add"), ADD.summary, _run, _arguments, (ADD,)),)

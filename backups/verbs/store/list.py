"""`./panel store list`: all stores."""

from backups.selectors.stores.stores import StoreJson, StoreRow, store_list
from labpanel.lib.actor import Actor
from labpanel.lib.units import size
from labpanel.verbs.output import print_table
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


def _do(_: Actor, __: Nothing) -> list[StoreRow]:
    return store_list()


def _rows(rows: list[StoreRow]) -> list[StoreJson]:
    return [row.as_json() for row in rows]


def _show(rows: list[StoreRow]) -> None:
    print_table(
        ["name", "host", "path", "free", "generations", "state"],
        [
            (
                row.name,
                row.host or "(this machine)",
                row.path,
                size(row.available_bytes),
                row.generations,
                row.error or row.state,
            )
            for row in rows
        ],
        "There is no store yet: `./panel store add NAME --host HOST PATH`.",
    )


VERBS = (Verb("store list", "all stores", Nothing, _do, _rows, ApiRoute("GET", "stores"), _show),)

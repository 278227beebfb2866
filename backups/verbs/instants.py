"""`./panel instants`: VMs that still run on blocks of a backup."""

from backups.selectors.restore.instants import InstantJson, InstantRow, instant_list
from labpanel.lib.actor import Actor
from labpanel.verbs.output import print_table
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


def _do(_: Actor, __: Nothing) -> list[InstantRow]:
    return instant_list()


def _rows(found: list[InstantRow]) -> list[InstantJson]:
    return [one.as_json() for one in found]


def _show(found: list[InstantRow]) -> None:
    print_table(
        ["vm", "host", "generation", "store", "local", "trouble"],
        [(one.vm, one.host, one.generation, one.store, one.share, one.error) for one in found],
        "Every VM has all of its blocks on its own host.",
    )


VERBS = (
    Verb(
        "instants",
        "list the VMs that still run on blocks of a backup",
        Nothing,
        _do,
        _rows,
        ApiRoute("GET", "instants"),
        _show,
    ),
)

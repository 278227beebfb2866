"""`./panel store places`: folders that may become stores."""

from backups.selectors.stores.lies_on import PlaceJson, StoreFolder, as_json, proposals
from labpanel.lib.actor import Actor
from labpanel.verbs.output import print_table, say
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


def _do(_: Actor, __: Nothing) -> list[StoreFolder]:
    return proposals()


def _rows(found: list[StoreFolder]) -> list[PlaceJson]:
    return [as_json(place) for place in found]


def _show(found: list[StoreFolder]) -> None:
    print_table(
        ["host", "path", "lies on", "beware"],
        [(place.host, place.path, place.lies.words, place.lies.beside) for place in found],
        "No host has a file system with room for copies.",
    )
    say("`./panel store add NAME --host HOST PATH --make-folder` makes one of them a store.")


VERBS = (
    Verb(
        "store places",
        "folders that may become stores: room and drive",
        Nothing,
        _do,
        _rows,
        ApiRoute("GET", "stores/places"),
        _show,
    ),
)

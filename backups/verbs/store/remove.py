"""`./panel store remove NAME`: forget a store."""

from backups.selectors.stores.stores import find_store
from backups.services.stores.remove_store import remove_store
from backups.verbs.store.show import OneStore
from labpanel.lib.actor import Actor
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb, as_sentence


def _do(_: Actor, given: OneStore) -> str:
    return remove_store(find_store(given.name))


VERBS = (
    Verb(
        "store remove",
        "forget a store; its files stay",
        OneStore,
        _do,
        as_sentence,
        ApiRoute("DELETE", "stores/<str:name>"),
        say,
    ),
)

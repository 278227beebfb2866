"""`./panel release VM`: end a hold."""

from dataclasses import dataclass

from backups.services.index.hold import release
from hosts.selectors.naming import find_vm
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import word
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb, as_sentence


@dataclass(frozen=True, slots=True)
class Release:
    vm: str = word()


def _do(actor: Actor, given: Release) -> str:
    return release(find_vm(given.vm), actor)


VERBS = (
    Verb(
        "release",
        "let a VM that was held be pruned again",
        Release,
        _do,
        as_sentence,
        ApiRoute("DELETE", "holds"),
        say,
        signed=True,
    ),
)

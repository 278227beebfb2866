"""`./panel include VM DISK`: a disk that was left out is saved again."""

from dataclasses import dataclass

from backups.services.policies.exclude_disk import include
from hosts.selectors.naming import find_vm
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import word
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb, as_sentence


@dataclass(frozen=True, slots=True)
class Include:
    vm: str = word()
    disk: str = word("its target, vda")


def _do(_: Actor, given: Include) -> str:
    return include(find_vm(given.vm), given.disk)


VERBS = (
    Verb(
        "include",
        "bring a disk that was left out into the backups again",
        Include,
        _do,
        as_sentence,
        ApiRoute("DELETE", "exclusions"),
        say,
    ),
)

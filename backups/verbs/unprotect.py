"""`./panel unprotect GENERATION`: its policy says again whether it stays."""

from backups.selectors.copies.generations import find_generation
from backups.services.index.protect import unprotect
from backups.verbs.generation import OneGeneration
from backups.verbs.protect import Changed, say_changed, shown
from labpanel.lib.actor import Actor
from labpanel.verbs.verb import ApiRoute, Verb


def _do(_: Actor, given: OneGeneration) -> Changed:
    generation = find_generation(given.generation)
    return Changed(generation, unprotect(generation))


VERBS = (
    Verb(
        "unprotect",
        "let a protected backup be pruned again",
        OneGeneration,
        _do,
        shown,
        ApiRoute("DELETE", "generations/<str:generation>/protection"),
        say_changed,
    ),
)

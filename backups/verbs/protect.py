"""`./panel protect GENERATION --reason …`: one backup that is never pruned."""

from dataclasses import dataclass

from backups.models import Generation
from backups.selectors.copies.generations import GenerationJson, as_json, find_generation
from backups.services.index.protect import protect
from backups.verbs.generation import OneGeneration
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import option
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Protect(OneGeneration):
    reason: str = option("why it is never pruned")


@dataclass(frozen=True, slots=True)
class Changed:
    """The generation as it is now, and the sentence that says what that means."""

    generation: Generation
    sentence: str


def shown(changed: Changed) -> GenerationJson:
    return as_json(changed.generation)


def say_changed(changed: Changed) -> None:
    say(changed.sentence)


def _do(_: Actor, given: Protect) -> Changed:
    generation = find_generation(given.generation)
    return Changed(generation, protect(generation, given.reason))


VERBS = (
    Verb(
        "protect",
        "keep one backup from being pruned, with the reason",
        Protect,
        _do,
        shown,
        ApiRoute("POST", "generations/<str:generation>/protection"),
        say_changed,
    ),
)

"""`./panel generation GENERATION`: one backup."""

from dataclasses import dataclass

from backups.models import Generation
from backups.selectors.copies.generations import GenerationJson, as_json, find_generation
from backups.verbs.generations import print_generations
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import word
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class OneGeneration:
    generation: str = word("its name, or the unique beginning of it")


def _do(_: Actor, given: OneGeneration) -> Generation:
    return find_generation(given.generation)


def _as_json(generation: Generation) -> GenerationJson:
    return as_json(generation)


def _show(generation: Generation) -> None:
    print_generations([generation])


VERBS = (
    Verb(
        "generation",
        "one backup, and what is proven of it",
        OneGeneration,
        _do,
        _as_json,
        ApiRoute("GET", "generations/<str:generation>"),
        _show,
    ),
)

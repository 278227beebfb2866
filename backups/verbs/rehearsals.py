"""`./panel rehearsals GENERATION`: how its rehearsals ended."""

from backups.selectors.copies.generations import find_generation
from backups.selectors.copies.rehearsals import RehearsalJson, Shown, rehearsals_of
from backups.verbs.generation import OneGeneration
from labpanel.lib.actor import Actor
from labpanel.verbs.output import print_table
from labpanel.verbs.verb import ApiRoute, Verb


def _do(_: Actor, given: OneGeneration) -> list[Shown]:
    return rehearsals_of(find_generation(given.generation))


def _rows(found: list[Shown]) -> list[RehearsalJson]:
    return [one.as_json() for one in found]


def _show(found: list[Shown]) -> None:
    print_table(
        ["ended at (UTC)", "host", "passed", "result"],
        [
            (
                f"{one.ended_at:%Y-%m-%d %H:%M}",
                one.host,
                "yes" if one.passed else "NO",
                one.sentence,
            )
            for one in found
        ],
        "This backup was never booted.",
    )


VERBS = (
    Verb(
        "rehearsals",
        "list the rehearsals of one backup, newest first",
        OneGeneration,
        _do,
        _rows,
        ApiRoute("GET", "generations/<str:generation>/rehearsals"),
        _show,
    ),
)

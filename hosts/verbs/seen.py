"""`./panel seen NUMBER`: acknowledge an incident that stands until its owner has seen it."""

import argparse
from dataclasses import dataclass

from hosts.services.checks.acknowledge import acknowledge
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import word
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb, as_sentence


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of an incident")
    return int(text)


@dataclass(frozen=True, slots=True)
class SeenIncident:
    number: int = word("as `./panel incidents` shows it", read=_number)


def _do(actor: Actor, given: SeenIncident) -> str:
    return acknowledge(given.number, actor)


VERBS = (
    Verb(
        "seen",
        "say that you have seen an incident that stands until then",
        SeenIncident,
        _do,
        as_sentence,
        ApiRoute("POST", "incidents/<int:number>/seen"),
        say,
    ),
)

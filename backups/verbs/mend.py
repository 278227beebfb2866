"""`./panel mend GENERATION`: replace what rotted in a backup, from other copies."""

from backups.selectors.copies.generations import find_generation
from backups.services.proof.mend import ask_for_mend
from backups.verbs.generation import OneGeneration
from labpanel.jobs.models import Job
from labpanel.jobs.opening import following, opened
from labpanel.lib.actor import Actor
from labpanel.verbs.verb import ApiRoute, Verb


def _do(actor: Actor, given: OneGeneration) -> Job:
    return ask_for_mend(find_generation(given.generation), asked_by=actor)


MEND = Verb(
    "mend",
    "replace what rotted in a backup, from other stores or other copies",
    OneGeneration,
    _do,
    opened,
    ApiRoute("POST", "generations/<str:generation>/mend", 202),
)
VERBS = (MEND,)
COMMANDS = (following(MEND),)

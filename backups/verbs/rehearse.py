"""`./panel rehearse GENERATION`: boot a backup, isolated, and look whether all is there."""

from dataclasses import dataclass

from backups.selectors.copies.generations import find_generation
from backups.selectors.copies.rehearsals import latest_of
from backups.services.rehearsal.rehearse import ask_for_rehearsal
from backups.verbs.generation import OneGeneration
from hosts.selectors.naming import find_host
from labpanel.jobs import waiting
from labpanel.jobs.models import Job
from labpanel.jobs.opening import follow_arguments, opened
from labpanel.lib.actor import Actor
from labpanel.verbs.command import Options, PanelCommand, actor_of, read
from labpanel.verbs.fields import option
from labpanel.verbs.output import print_table
from labpanel.verbs.verb import ApiRoute, Verb

_MARKS = {True: "yes", False: "NO", None: "not proven"}


@dataclass(frozen=True, slots=True)
class Rehearse(OneGeneration):
    on: str = option("where; the panel chooses unless this is given", "", metavar="HOST")


def _do(actor: Actor, given: Rehearse) -> Job:
    host = find_host(given.on) if given.on else None
    return ask_for_rehearsal(find_generation(given.generation), host, asked_by=actor)


REHEARSE = Verb(
    "rehearse",
    "boot a backup on a host, isolated, and look whether all is there",
    Rehearse,
    _do,
    opened,
    ApiRoute("POST", "generations/<str:generation>/rehearsals", 202),
)


def _run(options: Options) -> int:
    job = REHEARSE.perform(actor_of(options), read(REHEARSE, options))
    status = waiting.follow(job, options)
    if not (options.json or options.no_wait):
        _print_checks(job)
    return status


def _print_checks(job: Job) -> None:
    """What was looked at, also where the copy failed; nothing where it was not booted."""
    shown = latest_of(find_generation(job.parameters["generation"]))
    if shown is None or shown.began_at < job.created_at:
        return
    rows = [(check["what"], _MARKS[check["passed"]], check["seen"]) for check in shown.checks]
    print_table(["looked at", "good", "seen"], rows)


VERBS = (REHEARSE,)
COMMANDS = (
    PanelCommand(("rehearse",), REHEARSE.summary, _run, follow_arguments(REHEARSE), (REHEARSE,)),
)

"""`./panel rehearse GENERATION`: boot a backup, isolated, and look whether all is there."""

import argparse

from backups.selectors.generations import find_generation
from backups.selectors.rehearsals import latest_of
from backups.services.rehearse import ask_for_rehearsal
from hosts.selectors.naming import find_host
from labpanel.cli import waiting
from labpanel.cli.output import print_table
from labpanel.jobs.models import Job

HELP = "boot a backup on a host, isolated, and look whether all is there"
_MARKS = {True: "yes", False: "NO", None: "not proven"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", help="its name, or the unique beginning of it")
    parser.add_argument(
        "--on", metavar="HOST", help="where; the panel chooses unless this is given"
    )
    waiting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    generation = find_generation(options.generation)
    host = find_host(options.on) if options.on else None
    job = ask_for_rehearsal(generation, host)
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

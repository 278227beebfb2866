"""`./panel verify GENERATION`: read a backup again and compare; with --store or --all, many."""

import argparse
from typing import Any

from backups.selectors.generations import find_generation
from backups.selectors.stores import find_store
from backups.services.verify import ask_for_verify
from backups.services.verify_many import ask_for_many
from labpanel.cli import waiting
from labpanel.cli.output import complain, print_json, say
from labpanel.jobs.models import Job
from labpanel.jobs.states import State

HELP = "read backups again and hold them against their digests"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("generation", nargs="?", help="its name, or the unique beginning of it")
    which.add_argument("--store", metavar="NAME", help="every backup in this store")
    which.add_argument("--all", action="store_true", help="every backup in every store")
    parser.add_argument(
        "--level", type=int, choices=(1, 2), default=2, help="1: the files, 2: the disks' content"
    )
    waiting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    if options.generation:
        generation = find_generation(options.generation)
        return waiting.follow(ask_for_verify(generation, options.level), options)
    store = find_store(options.store) if options.store else None
    return _follow_all(ask_for_many(store, options.level), options)


def _follow_all(jobs: list[Job], options: argparse.Namespace) -> int:
    """Wait for each; 1 if one of them was not well, after all were waited for."""
    if options.no_wait:
        if options.json:
            print_json([{"job": job.pk} for job in jobs])
        for job in [] if options.json else jobs:
            say(f"Job {job.pk}: {job.title}.")
        return 0
    ended = [_waited(job, options) for job in jobs]
    if options.json:
        print_json([_as_json(job) for job in ended])
    return 0 if all(job.state == State.DONE for job in ended) else 1


def _waited(job: Job, options: argparse.Namespace) -> Job:
    ended = waiting.wait(job)
    if ended.state != State.DONE:
        complain(ended.sentence)
    elif not options.json:
        say(ended.sentence)
    return ended


def _as_json(job: Job) -> dict[str, Any]:
    """`generation`, `level`, `verified` and the job's `sentence`."""
    asked = job.parameters
    return {
        "generation": asked.get("generation"),
        "level": asked.get("level"),
        "verified": job.state == State.DONE,
        "sentence": job.sentence,
    }

"""`./panel verify GENERATION`: read a backup again and compare; with --store or --all, many."""

import argparse
from dataclasses import dataclass
from typing import TypedDict

from backups.selectors.copies.generations import find_generation
from backups.selectors.stores.stores import find_store
from backups.services.proof.verify import ask_for_verify
from backups.services.proof.verify_many import ask_for_many
from backups.verbs.generation import OneGeneration
from labpanel.jobs import waiting
from labpanel.jobs.models import Job
from labpanel.jobs.opening import Opened, opened
from labpanel.jobs.states import State
from labpanel.lib.actor import Actor
from labpanel.verbs.command import Options, PanelCommand, actor_of
from labpanel.verbs.fields import option
from labpanel.verbs.output import complain, print_json, say
from labpanel.verbs.verb import ApiRoute, Verb

LEVELS = (1, 2)
_LEVEL = "1: the files, 2: the disks' content"


@dataclass(frozen=True, slots=True)
class Verify(OneGeneration):
    level: int = option(_LEVEL, 2, choices=LEVELS)


@dataclass(frozen=True, slots=True)
class VerifyMany:
    store: str = option("every backup in this store; in every store without", "")
    level: int = option(_LEVEL, 1, choices=LEVELS)


class Verified(TypedDict):
    """What `--json` says of each of many."""

    generation: object
    level: object
    verified: bool
    sentence: str


def _do(actor: Actor, given: Verify) -> Job:
    return ask_for_verify(find_generation(given.generation), given.level, asked_by=actor)


def _do_many(actor: Actor, given: VerifyMany) -> list[Job]:
    store = find_store(given.store) if given.store else None
    return ask_for_many(store, given.level, asked_by=actor)


def _opened(jobs: list[Job]) -> list[Opened]:
    return [opened(job) for job in jobs]


VERIFY = Verb(
    "verify",
    "read a backup again and hold it against its digests",
    Verify,
    _do,
    opened,
    ApiRoute("POST", "generations/<str:generation>/verify", 202),
)
VERIFY_MANY = Verb(
    "verify many",
    "read every backup of a store, or of all stores, again",
    VerifyMany,
    _do_many,
    _opened,
    ApiRoute("POST", "verifications", 202),
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("generation", nargs="?", help="its name, or the unique beginning of it")
    which.add_argument("--store", metavar="NAME", help="every backup in this store")
    which.add_argument("--all", action="store_true", help="every backup in every store")
    parser.add_argument("--level", type=int, choices=LEVELS, default=2, help=_LEVEL)
    waiting.add_arguments(parser)


def _run(options: Options) -> int:
    actor = actor_of(options)
    if options.generation:
        job = VERIFY.perform(actor, Verify(options.generation, options.level))
        return waiting.follow(job, options)
    given = VerifyMany(options.store or "", options.level)
    return _follow_all(VERIFY_MANY.perform(actor, given), options)


def _follow_all(jobs: list[Job], options: Options) -> int:
    """Wait for each; 1 if one of them was not well, after all were waited for."""
    if options.no_wait:
        if options.json:
            print_json([{"job": job.pk} for job in jobs])
        for job in [] if options.json else jobs:
            say(f"Job {job.pk}: {job.title}.")
        return 0
    ended = [_waited(job, options) for job in jobs]
    if options.json:
        print_json([_verified(job) for job in ended])
    return 0 if all(job.state == State.DONE for job in ended) else 1


def _waited(job: Job, options: Options) -> Job:
    ended = waiting.wait(job)
    if ended.state != State.DONE:
        complain(ended.sentence)
    elif not options.json:
        say(ended.sentence)
    return ended


def _verified(job: Job) -> Verified:
    asked = job.parameters
    return {
        "generation": asked.get("generation"),
        "level": asked.get("level"),
        "verified": job.state == State.DONE,
        "sentence": job.sentence,
    }


VERBS = (VERIFY, VERIFY_MANY)
COMMANDS = (
    PanelCommand(
        ("verify",),
        "read backups again and hold them against their digests",
        _run,
        _arguments,
        VERBS,
    ),
)

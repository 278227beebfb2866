"""Verbs that open a job: the API answers 202 with the job, the terminal follows it to its end."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labpanel.jobs import waiting
from labpanel.jobs.models import Job
from labpanel.verbs.command import Options, PanelCommand, actor_of, add_fields, read
from labpanel.verbs.verb import Verb


@dataclass(frozen=True, slots=True)
class Opened:
    """The API's answer: a job that was opened. `job` is its number."""

    job: int
    title: str
    state: str


def opened(job: Job) -> Opened:
    return Opened(job.pk, job.title, job.state)


def follow_arguments(verb: Verb[Any, Job]) -> Callable[[argparse.ArgumentParser], None]:
    """The verb's fields, and the options of every verb that opens a job."""

    def add(parser: argparse.ArgumentParser) -> None:
        add_fields(parser, verb)
        waiting.add_arguments(parser)

    return add


def following(
    verb: Verb[Any, Job],
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None,
    read_options: Callable[[Options], Any] | None = None,
) -> PanelCommand:
    """The command that follows the job which `verb` opens. The two functions stand in for what
    follows from the verb's fields where more is typed than they say."""

    def add(parser: argparse.ArgumentParser) -> None:
        if add_arguments is not None:
            add_arguments(parser)
            waiting.add_arguments(parser)
        else:
            follow_arguments(verb)(parser)

    def run(options: Options) -> int:
        given = read_options(options) if read_options is not None else read(verb, options)
        return waiting.follow(verb.perform(actor_of(options), given), options)

    return PanelCommand(tuple(verb.name.split()), verb.summary, run, add, (verb,))

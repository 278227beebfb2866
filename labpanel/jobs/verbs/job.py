"""`./panel job show ID`, `./panel job cancel ID`."""

import argparse
from dataclasses import dataclass

from labpanel.jobs import groups, ledger, selectors
from labpanel.jobs.models import Job
from labpanel.jobs.selectors import JobRow, JobWithLines
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from labpanel.verbs.fields import word
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb

SUMMARY = "show or cancel one job"


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a job")
    return int(text)


@dataclass(frozen=True, slots=True)
class OneJob:
    job: int = word("as `./panel jobs` lists it", metavar="ID", read=_number)


def _find(_: Actor, given: OneJob) -> Job:
    return selectors.find_job(given.job)


def _show(job: Job) -> None:
    progress = f", {job.progress} %" if job.is_active else ""
    say(f"Job {job.pk}: {job.title} ({job.state}{progress})")
    if job.parent_id:
        say(f"  part of job {job.parent_id}")
    for child in groups.children_of(job):
        say(f"  job {child.pk}: {child.title} ({child.state})")
    for line in selectors.with_lines(job).lines:
        say(f"  {line.at[11:19]}  {line.text}")
    if job.is_final:
        say(job.sentence)


def _with_lines(job: Job) -> JobWithLines:
    return selectors.with_lines(job)


def _cancel(_: Actor, given: OneJob) -> Job:
    """Raises Refusal (409) when it had ended."""
    asked = ledger.ask_to_cancel(selectors.find_job(given.job))
    job = selectors.find_job(given.job)
    if not asked:
        raise Refusal(f"Job {job.pk} had already ended: {job.sentence}", 409)
    return job


def _show_cancelled(job: Job) -> None:
    say(job.sentence or f"Job {job.pk} is asked to stop; it does so at its next safe step.")


def _row(job: Job) -> JobRow:
    return selectors.row(job)


VERBS = (
    Verb(
        "job show",
        "the job with its log",
        OneJob,
        _find,
        _with_lines,
        ApiRoute("GET", "jobs/<int:job>"),
        _show,
    ),
    Verb(
        "job cancel",
        "ask it to stop",
        OneJob,
        _cancel,
        _row,
        ApiRoute("POST", "jobs/<int:job>/cancel"),
        _show_cancelled,
    ),
)

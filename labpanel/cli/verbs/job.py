"""`./panel job show ID`, `./panel job cancel ID`."""

import argparse

from labpanel.cli.output import print_json, say
from labpanel.jobs import ledger, selectors
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal

HELP = "show or cancel one job"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="show|cancel")
    for verb, does in (("show", "the job with its log"), ("cancel", "ask it to stop")):
        sub = verbs.add_parser(verb, help=does, description=does)
        sub.add_argument("job", type=_number, metavar="ID", help="as `./panel jobs` lists it")
        sub.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    job = selectors.find_job(options.job)
    return cancel(job, options) if options.verb == "cancel" else show(job, options)


def show(job: Job, options: argparse.Namespace) -> int:
    if options.json:
        print_json(selectors.with_lines(job))
        return 0
    progress = f", {job.progress} %" if job.is_active else ""
    say(f"Job {job.pk}: {job.title} ({job.state}{progress})")
    for line in selectors.with_lines(job)["lines"]:
        say(f"  {line['at'][11:19]}  {line['text']}")
    if job.is_final:
        say(job.sentence)
    return 0


def cancel(job: Job, options: argparse.Namespace) -> int:
    if not ledger.ask_to_cancel(job):
        job.refresh_from_db()
        raise Refusal(f"Job {job.pk} had already ended: {job.sentence}", 409)
    job.refresh_from_db()
    if options.json:
        print_json(selectors.row(job).as_json())
    else:
        say(job.sentence or f"Job {job.pk} is asked to stop; it does so at its next safe step.")
    return 0


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a job")
    return int(text)

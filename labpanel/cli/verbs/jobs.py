"""`./panel jobs`: what the panel was asked to do."""

import argparse

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from labpanel.cli.output import print_json, print_table
from labpanel.jobs import selectors
from labpanel.jobs.selectors import JobRow

HELP = "list jobs, newest first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--active", action="store_true", help="only those that wait or run")
    parser.add_argument("--limit", type=_count, default=30, help="how many (30)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    rows = selectors.recent_jobs(active=options.active, limit=options.limit)
    if options.json:
        print_json([row.as_json() for row in rows])
        return 0
    table = [(row.id, row.state, row.title, _when(row), _how(row)) for row in rows]
    empty = "Nothing is under way." if options.active else "Nothing was done yet."
    print_table(("job", "state", "what", "asked", "how it goes"), table, empty)
    return 0


def _when(row: JobRow) -> str:
    at = parse_datetime(row.created_at)
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}" if at else ""


def _how(row: JobRow) -> str:
    if row.ended_at:
        return row.sentence
    return " ".join(filter(None, (f"{row.progress} %", row.phase)))


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("write a number from 1 to 1000")
    return int(text)

"""`./panel jobs`: what the panel was asked to do."""

import argparse
from dataclasses import dataclass

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from labpanel.jobs import selectors
from labpanel.jobs.selectors import JobRow
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import option
from labpanel.verbs.output import print_table
from labpanel.verbs.verb import ApiRoute, Verb

MOST = 200


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("write a number from 1 to 1000")
    return int(text)


@dataclass(frozen=True, slots=True)
class Jobs:
    active: bool = option("only those that wait or run", False)
    limit: int = option("how many (30)", 50, read=_count, low=1, high=MOST, typed_default=30)


@dataclass(frozen=True, slots=True)
class FoundJobs:
    """The newest jobs, and whether only those under way were asked for."""

    rows: list[JobRow]
    active: bool


def _do(_: Actor, given: Jobs) -> FoundJobs:
    found = selectors.recent_jobs(active=given.active, limit=given.limit)
    return FoundJobs(found, given.active)


def _rows(found: FoundJobs) -> list[JobRow]:
    return found.rows


def _show(found: FoundJobs) -> None:
    table = [
        (row.id, row.parent or "", row.state, row.title, _when(row), _how(row))
        for row in found.rows
    ]
    empty = "Nothing is under way." if found.active else "Nothing was done yet."
    print_table(("job", "part of", "state", "what", "asked", "how it goes"), table, empty)


def _when(row: JobRow) -> str:
    at = parse_datetime(row.created_at)
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}" if at else ""


def _how(row: JobRow) -> str:
    if row.ended_at:
        return row.sentence
    return " ".join(filter(None, (f"{row.progress} %", row.phase)))


VERBS = (Verb("jobs", "list jobs, newest first", Jobs, _do, _rows, ApiRoute("GET", "jobs"), _show),)

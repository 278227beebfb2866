"""`./panel coverage [VM]`: what is safe, per virtual disk, worst first."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from backups.selectors.coverage.coverage import CoverageJson, CoverageRow, coverage
from hosts.selectors.naming import find_vm
from labpanel.lib.actor import Actor
from labpanel.lib.durations import ago
from labpanel.verbs.fields import word
from labpanel.verbs.output import print_table, say_of
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Coverage:
    vm: str = word("of this VM alone", "")


def _do(_: Actor, given: Coverage) -> list[CoverageRow]:
    return coverage(timezone.now(), find_vm(given.vm) if given.vm else None)


def _rows(rows: list[CoverageRow]) -> list[CoverageJson]:
    return [row.as_json() for row in rows]


def _show(rows: list[CoverageRow]) -> None:
    now = timezone.now()
    print_table(
        ["vm", "disk", "host", "verdict", "newest good copies", "reason"],
        [(row.vm, row.disk, row.host, row.verdict, _copies(row, now), row.reason) for row in rows],
        "There is no virtual disk yet: `./panel host add NAME TARGET`.",
    )
    for vm in dict.fromkeys(row.vm for row in rows):
        say_of(vm, dict.fromkeys(said for row in rows if row.vm == vm for said in row.left_out))


def _copies(row: CoverageRow, now: datetime) -> str:
    """ "3 h ago in far, 5 h ago in near". Said whatever the verdict: a host that is away has its
    copies still."""
    found = [f"{ago(one.taken_at, now)} in {one.store}" for one in row.copies]
    return ", ".join(found) or "none"


VERBS = (
    Verb(
        "coverage",
        "say for every virtual disk whether it is safe, and why",
        Coverage,
        _do,
        _rows,
        ApiRoute("GET", "coverage"),
        _show,
    ),
)

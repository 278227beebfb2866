"""`./panel vm list`: all VMs, worst first."""

from dataclasses import dataclass

from django.utils import timezone

from hosts.selectors.naming import find_host
from labpanel.home.selectors.vm_rows import ListedVM, ListedVMJson, listed_vms
from labpanel.lib.actor import Actor
from labpanel.lib.units import size
from labpanel.verbs.fields import option
from labpanel.verbs.output import print_table
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class VMs:
    host: str | None = option("of this host alone", None)


def _do(_: Actor, given: VMs) -> list[ListedVM]:
    host = find_host(given.host) if given.host is not None else None
    return listed_vms(timezone.now(), host)


def _rows(rows: list[ListedVM]) -> list[ListedVMJson]:
    return [row.as_json() for row in rows]


def _show(rows: list[ListedVM]) -> None:
    print_table(
        ("name", "host", "state", "how it is", "cpus", "memory", "disks", "uuid"),
        [_row(row) for row in rows],
        "No VM was seen yet.",
    )


def _row(one: ListedVM) -> tuple[object, ...]:
    row, how = one.row, one.condition.words
    disks = " ".join(f"{d.target}:{size(d.capacity_bytes)}" for d in row.disks if d.is_disk)
    return row.name, row.host, row.state, how, row.vcpus, size(row.memory_bytes), disks, row.uuid


VERBS = (Verb("vm list", "all VMs", VMs, _do, _rows, ApiRoute("GET", "vms"), _show),)

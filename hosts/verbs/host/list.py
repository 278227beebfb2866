"""`./panel host list`: all hosts."""

from django.utils import timezone

from hosts.selectors.lists import HostJson, HostRow, host_list
from labpanel.lib.actor import Actor
from labpanel.lib.durations import ago
from labpanel.verbs.output import print_table
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


def _do(_: Actor, __: Nothing) -> list[HostRow]:
    return host_list(timezone.now())


def _rows(rows: list[HostRow]) -> list[HostJson]:
    return [row.as_json() for row in rows]


def _show(rows: list[HostRow]) -> None:
    now = timezone.now()
    table = [(r.name, r.address, r.state, ago(r.last_seen, now), r.reason) for r in rows]
    print_table(
        ("name", "address", "state", "last seen", "reason"),
        table,
        "There is no host yet: ./panel host add NAME USER@ADDRESS",
    )


VERBS = (Verb("host list", "all hosts", Nothing, _do, _rows, ApiRoute("GET", "hosts"), _show),)

"""`./panel exposure [HOST]`: what would be lost if a host died now, and how long back takes."""

from dataclasses import dataclass

from django.utils import timezone

from backups.selectors.coverage.exposure import Death, DeathJson, exposure
from hosts.selectors.naming import find_host
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import word
from labpanel.verbs.output import print_table, say_of
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Exposure:
    host: str = word("of this host alone", "")


def _do(_: Actor, given: Exposure) -> list[Death]:
    return exposure(timezone.now(), find_host(given.host) if given.host else None)


def _rows(deaths: list[Death]) -> list[DeathJson]:
    return [death.as_json() for death in deaths]


def _show(deaths: list[Death]) -> None:
    print_table(
        ["host", "vm", "loses", "newest good copy in", "back", "judged by"],
        [
            (
                death.host,
                loss.vm,
                loss.words,
                ", ".join(sorted({disk.copy.store for disk in loss.disks if disk.copy})) or "–",
                loss.back.words if loss.back else "–",
                loss.back.why if loss.back else "There is no copy to bring back.",
            )
            for death in deaths
            for loss in death.losses
        ],
        "No VM with a virtual disk is known: nothing would be lost.",
    )
    for death in deaths:
        for loss in death.losses:
            say_of(loss.vm, loss.left_out)


VERBS = (
    Verb(
        "exposure",
        "say per VM what would be lost if its host died now, and how long getting it back takes",
        Exposure,
        _do,
        _rows,
        ApiRoute("GET", "exposure"),
        _show,
    ),
)

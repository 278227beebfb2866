"""`./panel generations [VM]`: what the stores keep."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from backups.models import Generation
from backups.rules.copies.trust import doubt
from backups.selectors.copies.generations import GenerationJson, as_json, generation_list
from hosts.selectors.naming import find_vm
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import word
from labpanel.verbs.output import print_table
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Generations:
    vm: str = word("of this VM alone", "")


def print_generations(found: Iterable[Generation]) -> None:
    """A table with a row for each."""
    print_table(
        ["generation", "vm", "store", "taken at (UTC)", "consistency", "disks", "state"],
        [_cells(generation) for generation in found],
        "There is no backup yet: `./panel backup VM`.",
    )


def _do(_: Actor, given: Generations) -> list[Generation]:
    return list(generation_list(find_vm(given.vm) if given.vm else None))


def _rows(found: list[Generation]) -> list[GenerationJson]:
    return [as_json(generation) for generation in found]


def _cells(generation: Generation) -> tuple[object, ...]:
    proof = "verified" if generation.verified_at else "not verified"
    doubted = doubt(generation.trust, generation.taken_at, timezone.now())
    proof = f"{doubted}: counts for nothing" if doubted else proof
    return (
        generation.key,
        generation.vm_name,
        generation.store.name,
        f"{generation.taken_at:%Y-%m-%d %H:%M:%S}",
        generation.consistency,
        len(generation.disks.all()),
        proof if generation.state == Generation.State.COMPLETE else generation.damage,
    )


VERBS = (
    Verb(
        "generations",
        "list the backups, of all VMs or of one",
        Generations,
        _do,
        _rows,
        ApiRoute("GET", "generations"),
        print_generations,
    ),
)

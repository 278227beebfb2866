"""`./panel generations [VM]`: what the stores keep."""

import argparse

from backups.models import Generation
from backups.selectors.generations import as_json, generation_list
from hosts.selectors.naming import find_vm
from labpanel.cli.output import print_json, print_table

HELP = "list the backups, of all VMs or of one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm", nargs="?")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    found = generation_list(find_vm(options.vm) if options.vm else None)
    if options.json:
        print_json([as_json(generation) for generation in found])
        return 0
    print_table(
        ["generation", "vm", "store", "taken at (UTC)", "consistency", "disks", "state"],
        [_cells(generation) for generation in found],
        "There is no backup yet: `./panel backup VM`.",
    )
    return 0


def _cells(generation: Generation) -> tuple[object, ...]:
    proof = "verified" if generation.verified_at else "not verified"
    return (
        generation.key,
        generation.vm_name,
        generation.store.name,
        f"{generation.taken_at:%Y-%m-%d %H:%M:%S}",
        generation.consistency,
        len(generation.disks.all()),
        proof if generation.state == Generation.State.COMPLETE else generation.damage,
    )

"""`./panel move VM`: take a VM to another host, or show what that would do."""

import argparse

from hosts.models import VM, Host
from hosts.selectors.naming import find_host, find_vm
from labpanel.cli import waiting
from labpanel.cli.output import print_json, print_table, say
from labpanel.lib.units import size
from labpanel.moves.services.move import ask
from labpanel.moves.services.plan import Plan, plan
from labpanel.moves.services.plan_json import plan_json

HELP = "take a VM to another host"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm")
    parser.add_argument("--to", metavar="HOST", help="which host; by itself the best one")
    parser.add_argument("--plan", action="store_true", help="only show what would be done")
    waiting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    vm = find_vm(options.vm)
    to = find_host(options.to) if options.to else None
    if options.plan:
        return show(vm, to, options)
    return waiting.follow(ask(vm, to, "the command line"), options)


def show(vm: VM, to: Host | None, options: argparse.Namespace) -> int:
    """0 if the move could be done now, 1 if something forbids it."""
    found = plan(vm, to)
    if options.json:
        print_json(plan_json(found))
    else:
        _tell(found)
    return 0 if found.possible else 1


def _tell(found: Plan) -> None:
    if found.possible:
        way = f"{found.way}, copying {size(found.copied_bytes)}"
        say(f"{found.vm} would move from {found.host} to {found.target}, {way}.")
    for sentence in found.obstacles:
        say(f"No: {sentence}")
    for sentence in found.warnings:
        say(f"Note: {sentence}")
    rows = [
        [one.target.name, "yes" if one.fits else "no", ", ".join(one.reasons)]
        for one in found.candidates
    ]
    print_table(["host", "fits", "why"], rows)

"""`./panel coverage [VM]`: what is safe, per virtual disk, worst first."""

import argparse

from django.utils import timezone

from backups.selectors.coverage import coverage
from hosts.selectors.naming import find_vm
from labpanel.cli.output import print_json, print_table

HELP = "say for every virtual disk whether it is safe, and why"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm", nargs="?")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    rows = coverage(timezone.now(), find_vm(options.vm) if options.vm else None)
    if options.json:
        print_json([row.as_json() for row in rows])
        return 0
    print_table(
        ["vm", "disk", "host", "verdict", "reason"],
        [(row.vm, row.disk, row.host, row.verdict, row.reason) for row in rows],
        "There is no virtual disk yet: `./panel host add NAME TARGET`.",
    )
    return 0

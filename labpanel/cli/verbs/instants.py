"""`./panel instants`: VMs that still run on blocks of a backup."""

import argparse

from backups.selectors.instants import instant_list
from labpanel.cli.output import print_json, print_table

HELP = "list the VMs that still run on blocks of a backup"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    found = instant_list()
    if options.json:
        print_json([one.as_json() for one in found])
        return 0
    print_table(
        ["vm", "host", "generation", "store", "local", "trouble"],
        [(one.vm, one.host, one.generation, one.store, one.share, one.error) for one in found],
        "Every VM has all of its blocks on its own host.",
    )
    return 0

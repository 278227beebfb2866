"""`./panel include VM DISK`: a disk that was left out is saved again."""

import argparse

from backups.services.exclude_disk import include
from hosts.selectors.naming import find_vm
from labpanel.cli.output import say

HELP = "bring a disk that was left out into the backups again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm")
    parser.add_argument("disk", help="its target, vda")


def run(options: argparse.Namespace) -> int:
    say(include(find_vm(options.vm), options.disk))
    return 0

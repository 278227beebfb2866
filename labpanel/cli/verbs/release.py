"""`./panel release VM`: end a hold."""

import argparse

from backups.services.hold import release
from hosts.selectors.naming import find_vm
from labpanel.cli.output import print_json, say

HELP = "let a VM that was held be pruned again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm")
    parser.add_argument("--by", default="the command line", metavar="NAME", help="who says so")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    sentence = release(find_vm(options.vm), options.by)
    print_json({"sentence": sentence}) if options.json else say(sentence)
    return 0

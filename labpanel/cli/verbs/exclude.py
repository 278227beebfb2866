"""`./panel exclude VM DISK --reason …`: a disk that need not be saved, and why."""

import argparse
from datetime import UTC, datetime

from backups.selectors.exclusions import as_json
from backups.services.exclude_disk import exclude
from hosts.selectors.naming import find_vm
from labpanel.cli.output import print_json, say

HELP = "leave a virtual disk out of the backups, with the reason"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm")
    parser.add_argument("disk", help="its target, vda")
    parser.add_argument("--reason", required=True)
    parser.add_argument("--until", type=_day, metavar="DATE", help="YYYY-MM-DD; for good without")
    parser.add_argument("--by", default="the command line", metavar="NAME", help="who says so")
    parser.add_argument("--json", action="store_true")


def _day(text: str) -> datetime:
    """The beginning of that day, UTC."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day like 2026-12-31") from error


def run(options: argparse.Namespace) -> int:
    kept = exclude(
        find_vm(options.vm), options.disk, options.reason, by=options.by, until=options.until
    )
    if options.json:
        print_json(as_json(kept))
        return 0
    until = f" until {kept.until:%Y-%m-%d}" if kept.until else ""
    say(f"{kept.target} of {kept.vm.name} is left out of the backups{until}: {kept.reason}")
    return 0

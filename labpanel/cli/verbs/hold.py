"""`./panel hold [VM --reason …]`: nothing of a VM is pruned while its source is suspect."""

import argparse

from backups.selectors.holds import as_json, hold_list
from backups.services.hold import hold
from hosts.selectors.naming import find_vm
from labpanel.cli.output import print_json, print_table, say

HELP = "keep every backup of a VM from being pruned; without a VM, list those that are held"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm", nargs="?")
    parser.add_argument("--reason", default="", help="why its source is suspect")
    parser.add_argument("--by", default="the command line", metavar="NAME", help="who says so")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    if options.vm is None:
        return _list(shown_as_json=options.json)
    kept = hold(find_vm(options.vm), options.reason, options.by)
    if options.json:
        print_json(as_json(kept))
    else:
        say(f"Nothing of {kept.vm.name} is pruned from now on: {kept.reason}.")
    return 0


def _list(*, shown_as_json: bool) -> int:
    found = list(hold_list())
    if shown_as_json:
        print_json([as_json(each) for each in found])
        return 0
    print_table(
        ["vm", "held since (UTC)", "by", "because"],
        [(each.vm.name, f"{each.since:%Y-%m-%d %H:%M}", each.by, each.reason) for each in found],
        "No VM is held.",
    )
    return 0

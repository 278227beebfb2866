"""`./panel exposure [HOST]`: what would be lost if a host died now, and how long back takes."""

import argparse

from django.utils import timezone

from backups.selectors.exposure import exposure
from hosts.selectors.naming import find_host
from labpanel.cli.output import print_json, print_table

HELP = "say per VM what would be lost if its host died now, and how long getting it back takes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", nargs="?")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    deaths = exposure(timezone.now(), find_host(options.host) if options.host else None)
    if options.json:
        print_json([death.as_json() for death in deaths])
        return 0
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
    return 0

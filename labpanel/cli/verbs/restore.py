"""`./panel restore GENERATION --to HOST`: a backup becomes a VM, never over a file that exists."""

import argparse

from backups.selectors.generations import find_generation
from backups.services.restore import ask_for_restore
from hosts.selectors.naming import find_host
from labpanel.cli import waiting

HELP = "bring a backup back as a VM on a host"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", help="its name, or the unique beginning of it")
    parser.add_argument("--to", required=True, metavar="HOST")
    parser.add_argument("--name", default="", help="a new name; it is a copy then")
    parser.add_argument("--path", default="", help="the folder for the disks")
    parser.add_argument("--start", action="store_true", help="start it when it is whole")
    waiting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    job = ask_for_restore(
        find_generation(options.generation),
        find_host(options.to),
        name=options.name,
        start=options.start,
        path=options.path,
    )
    return waiting.follow(job, options)

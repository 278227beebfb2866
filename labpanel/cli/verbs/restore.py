"""`./panel restore GENERATION --to HOST`: a backup becomes a VM, never over a file that exists."""

import argparse

from backups.models import Generation
from backups.selectors.generations import find_generation
from backups.services.ask_restore import Wish, ask_for_restore
from hosts.selectors.naming import find_host
from labpanel.cli import waiting
from labpanel.lib.refusal import Refusal

HELP = "bring a backup, or disks of several, back as a VM"
_MIB = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", help="its name, or the unique beginning of it")
    parser.add_argument("--to", metavar="HOST", help="which host; left out with --in-place")
    parser.add_argument("--name", default="", help="a new name; it is a copy then")
    parser.add_argument("--path", default="", help="the folder for the disks")
    parser.add_argument(
        "--disk",
        action="append",
        default=[],
        metavar="DISK[=GENERATION]",
        help="take this disk from another generation; may be given for several disks",
    )
    parser.add_argument("--only", action="store_true", help="only the disks named by --disk")
    parser.add_argument(
        "--definition", metavar="GENERATION", help="whose definition counts (the newest one's)"
    )
    parser.add_argument("--start", action="store_true", help="start it when it is whole")
    _add_ways(parser)
    waiting.add_arguments(parser)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--in-place",
        action="store_true",
        help="put the disks in the place of the VM's own, which are kept aside",
    )
    ways.add_argument(
        "--instant",
        action="store_true",
        help="run it within seconds on the backup's blocks, which are pulled in behind it",
    )
    parser.add_argument(
        "--shut-down", action="store_true", help="with --in-place: shut the VM down first"
    )
    parser.add_argument(
        "--cap",
        type=float,
        default=0.0,
        metavar="MIB",
        help="with --instant: pull in at most so many MiB a second",
    )


def run(options: argparse.Namespace) -> int:
    generation = find_generation(options.generation)
    wish = Wish(
        name=options.name,
        path=options.path,
        start=options.start,
        in_place=options.in_place,
        shut_down=options.shut_down,
        instant=options.instant,
        disks=dict(_named(word, generation) for word in options.disk),
        only=options.only,
        definition=find_generation(options.definition) if options.definition else None,
        bytes_per_second=int(options.cap * _MIB),
    )
    host = find_host(options.to) if options.to else None
    return waiting.follow(ask_for_restore(generation, host, wish), options)


def _named(word: str, main: Generation) -> tuple[str, Generation]:
    target, equals, key = word.partition("=")
    if not target or (equals and not key):
        raise Refusal(f"--disk {word!r} is not DISK or DISK=GENERATION.")
    return target, find_generation(key) if key else main

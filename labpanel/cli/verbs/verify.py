"""`./panel verify GENERATION`: read a backup again and compare."""

import argparse

from backups.selectors.generations import find_generation
from backups.services.verify import ask_for_verify
from labpanel.cli import waiting

HELP = "read a backup again and hold it against its digests"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", help="its name, or the unique beginning of it")
    parser.add_argument(
        "--level", type=int, choices=(1, 2), default=2, help="1: the files, 2: the disks' content"
    )
    waiting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    generation = find_generation(options.generation)
    return waiting.follow(ask_for_verify(generation, options.level), options)

"""`./panel mend GENERATION`: replace what rotted in a backup, from other copies."""

import argparse

from backups.selectors.generations import find_generation
from backups.services.mend import ask_for_mend
from labpanel.cli import waiting

HELP = "replace what rotted in a backup, from other stores or other copies"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", help="its name, or the unique beginning of it")
    waiting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    return waiting.follow(ask_for_mend(find_generation(options.generation)), options)

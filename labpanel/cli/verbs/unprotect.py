"""`./panel unprotect GENERATION`: its policy says again whether it stays."""

import argparse

from backups.selectors.generations import as_json, find_generation
from backups.services.protect import unprotect
from labpanel.cli.output import print_json, say

HELP = "let a protected backup be pruned again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", help="its name, or the unique beginning of it")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    generation = find_generation(options.generation)
    sentence = unprotect(generation)
    print_json(as_json(generation)) if options.json else say(sentence)
    return 0

"""`./panel protect GENERATION --reason …`: one backup that is never pruned."""

import argparse

from backups.selectors.generations import as_json, find_generation
from backups.services.protect import protect
from labpanel.cli.output import print_json, say

HELP = "keep one backup from being pruned, with the reason"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", help="its name, or the unique beginning of it")
    parser.add_argument("--reason", required=True)
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    generation = find_generation(options.generation)
    sentence = protect(generation, options.reason)
    print_json(as_json(generation)) if options.json else say(sentence)
    return 0

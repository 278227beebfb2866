"""`./panel bench NAME`: measure, print beside the bar, say by the status whether it is reached."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

import django

from lab.bench import scratch

NAMES = ("pages", "samples", "backup")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="./panel bench", description="Measure against the bars.")
    made.add_argument("name", choices=NAMES)
    made.add_argument(
        "--rounds", type=int, default=40, help="how often each page is asked for (pages)"
    )
    return made


def main(words: Sequence[str]) -> int:
    """0 if every bar is reached, 1 if one is missed, 2 for wrong use."""
    options = parser().parse_args(words)
    os.umask(0o077)  # what is measured writes as the panel does
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labpanel.settings")
    scratch.enter()
    with scratch.removed_afterwards():
        django.setup()
        module = importlib.import_module(f"lab.bench.{options.name}")
        return int(module.run(options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

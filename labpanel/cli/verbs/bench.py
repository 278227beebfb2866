"""`./panel bench NAME`: measure, print beside the bar, say by the status whether it is reached."""

import argparse
import importlib

from labpanel.bench import scratch

HELP = "measure against the bars: pages, samples, backup"
NAMES = ("pages", "samples", "backup")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=NAMES)
    parser.add_argument(
        "--rounds", type=int, default=40, help="how often each page is asked for (pages)"
    )


def run(options: argparse.Namespace) -> int:
    module = importlib.import_module(f"labpanel.bench.{options.name}")
    if not getattr(module, "SCRATCH", False):
        return int(module.run(options))
    scratch.enter()
    with scratch.removed_afterwards():
        return int(module.run(options))

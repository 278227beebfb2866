"""The owner's word on the command line: what of a host a VM's definition may reach."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--accept-reach",
        default="",
        metavar="CODE",
        help="let the VM reach into the host as the refusal with this code lists it",
    )
    either.add_argument(
        "--drop-reach",
        action="store_true",
        help="leave out what in the definition reaches into the host",
    )

"""`./panel first-link`: the address that makes the first account."""

import argparse
import sys

from labpanel.accounts.services import first_link

HELP = "print the one-time link that makes the first account"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(options: argparse.Namespace) -> int:
    url = first_link.link()
    if url is None:
        print("The first account exists already: sign in with it.", file=sys.stderr)  # noqa: T201
        return 1
    # The explanation goes to standard error, so that a script can take the address alone.
    hours = first_link.VALID_HOURS
    text = f"Open this link once, within {hours} hours, to make the first account:"
    print(text, file=sys.stderr, flush=True)  # noqa: T201
    print(url)  # noqa: T201
    return 0

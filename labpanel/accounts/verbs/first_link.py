"""`./panel first-link`: the address that makes the first account, or sets a new password."""

import argparse
import sys

from labpanel.accounts.services import first_link
from labpanel.verbs.command import PanelCommand
from labpanel.verbs.output import complain, say


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="account",
        metavar="NAME",
        help="an account whose owner is locked out: the link sets a new password for it",
    )


def _run(options: argparse.Namespace) -> int:
    hours = first_link.VALID_HOURS
    if options.account is not None:
        url = first_link.link_for(options.account)
        text = f"to set a new password for {options.account}; the old one counts until then:"
    else:
        found = first_link.link()
        if found is None:
            complain(
                "The first account exists already: sign in with it, or run "
                "`./panel first-link --for NAME` for a new password."
            )
            return 1
        url, text = found, "to make the first account:"
    # The explanation goes to standard error, so that a script can take the address alone.
    print(f"Open this link once, within {hours} hours, {text}", file=sys.stderr, flush=True)  # noqa: T201
    say(url)
    return 0


COMMANDS = (
    PanelCommand(
        ("first-link",),
        "print the one-time link that makes the first account, or with --for sets a new password",
        _run,
        _arguments,
    ),
)

"""`./panel passphrase`: choose what opens copies of the panel itself."""

import argparse

from labpanel.panel_copies import passphrases
from labpanel.panel_copies.services.choose_passphrase import choose_passphrase
from labpanel.panel_copies.services.copy_soon import copy_soon
from labpanel.panel_copies.state import panel_state
from labpanel.verbs.command import PanelCommand
from labpanel.verbs.output import say


def _arguments(parser: argparse.ArgumentParser) -> None:
    passphrases.add_arguments(parser)


def _run(options: argparse.Namespace) -> int:
    choose_passphrase(panel_state(), passphrases.ask_twice(options))
    copy_soon()
    say(
        "The passphrase is chosen. From now on each store gets a copy of the panel every day. Keep "
        "the passphrase away from this machine: without it no copy can be opened."
    )
    return 0


COMMANDS = (
    PanelCommand(
        ("passphrase",), "choose the passphrase of the panel's own copies", _run, _arguments
    ),
)

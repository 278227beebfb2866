"""`./panel export FILE`: a copy of the panel itself, encrypted with the passphrase."""

import argparse
from pathlib import Path

from django.utils import timezone

from labpanel.adapters.here.age import CopyKey
from labpanel.lib.units import size
from labpanel.panel_copies import passphrases
from labpanel.panel_copies.services.choose_passphrase import check_passphrase, choose_passphrase
from labpanel.panel_copies.services.copy_soon import copy_soon
from labpanel.panel_copies.services.export_panel import export_panel
from labpanel.panel_copies.state import PanelState, panel_state, read_key
from labpanel.verbs.command import PanelCommand
from labpanel.verbs.output import say


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    passphrases.add_arguments(parser)


def _run(options: argparse.Namespace) -> int:
    state = panel_state()
    key = read_key(state.home)
    chosen = key is None
    key = _chosen(state, options) if key is None else _checked(key, options)
    written = export_panel(state, key, options.file, timezone.now())
    say(f"{options.file} holds the panel ({size(written)}). `./panel import` brings it back.")
    if chosen:
        copy_soon()
        say("From now on each store gets such a copy every day, with the same passphrase.")
    return 0


def _chosen(state: PanelState, options: argparse.Namespace) -> CopyKey:
    return choose_passphrase(state, passphrases.ask_twice(options))


def _checked(key: CopyKey, options: argparse.Namespace) -> CopyKey:
    """With the passphrase that was chosen; it is asked for only where it was given."""
    if options.passphrase_file:
        check_passphrase(key, passphrases.ask(options))
    return key


COMMANDS = (
    PanelCommand(
        ("export",), "write a copy of the panel itself, with its keys, encrypted", _run, _arguments
    ),
)

"""`./panel import FILE`: the panel as it was, from a copy."""

import argparse
from pathlib import Path

from django.utils import timezone

from labpanel.lib.durations import ago, exact
from labpanel.lib.refusal import Refusal
from labpanel.panel_copies import passphrases
from labpanel.panel_copies.services.fetch_copy import fetched
from labpanel.panel_copies.services.import_panel import Imported, import_panel
from labpanel.panel_copies.state import panel_state
from labpanel.verbs.command import PanelCommand
from labpanel.verbs.output import say


def _arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("file", type=Path, nargs="?", help="a copy, or a database from copies/")
    where.add_argument("--store", metavar="NAME", help="the newest copy in a store")
    passphrases.add_arguments(parser)


def _run(options: argparse.Namespace) -> int:
    state, now = panel_state(), timezone.now()

    def passphrase() -> str:
        return passphrases.ask(options)

    if options.store is not None:
        with fetched(state, options.store, now) as path:
            done = import_panel(state, path, passphrase, now)
    elif _is_file(options.file):
        done = import_panel(state, options.file, passphrase, now)
    else:
        raise Refusal(f"{options.file} is not a file.")
    say(_words(done))
    say(f"What was there before is in {done.aside}. Start the panel with `./panel up`.")
    return 0


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for a file
        return False


def _words(done: Imported) -> str:
    if done.made_at is None:
        return "The database is the one of the copy; keys and settings stay as they were."
    now = timezone.now()
    return f"The panel is as it was {ago(done.made_at, now)} ({exact(done.made_at)})."


COMMANDS = (
    PanelCommand(
        ("import",),
        "bring the panel back from a copy; what is there is kept aside",
        _run,
        _arguments,
    ),
)

"""`./panel password NAME`: a new password for an account."""

import argparse
import getpass
import sys

from labpanel.accounts.services.find_account import find_account
from labpanel.accounts.services.set_password import set_password
from labpanel.verbs.command import PanelCommand
from labpanel.verbs.output import complain, say

HELP = "set a new password for an account and end its sessions"
_LONGEST = 4096  # characters


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        f"{HELP}. Asks for it twice; reads one line where standard input is not a terminal."
    )
    parser.add_argument("name")


def _run(options: argparse.Namespace) -> int:
    user = find_account(options.name)
    typed = _asked() if sys.stdin.isatty() else _read()
    if typed is None:
        return 1
    ended = set_password(user, typed, None)
    sessions = "1 session" if ended == 1 else f"{ended} sessions"
    say(f"The password of {user} is changed; {sessions} ended.")
    return 0


def _asked() -> str | None:
    first = getpass.getpass("New password: ")
    if getpass.getpass("The same again: ") == first:
        return first
    complain("The two passwords differ; nothing was changed.")
    return None


def _read() -> str | None:
    line = sys.stdin.readline(_LONGEST + 2).rstrip("\r\n")
    if line and len(line) <= _LONGEST:
        return line
    complain(f"Standard input holds no password of 1 to {_LONGEST} characters in its first line.")
    return None


COMMANDS = (PanelCommand(("password",), HELP, _run, _arguments),)

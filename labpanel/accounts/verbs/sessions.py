"""`./panel sessions [NAME]`: where accounts are signed in."""

import argparse

from django.utils import timezone

from labpanel.accounts.selectors import sessions_of
from labpanel.accounts.services.end_sessions import end_all
from labpanel.accounts.services.find_account import find_account
from labpanel.lib.durations import ago
from labpanel.verbs.command import PanelCommand
from labpanel.verbs.output import complain, print_json, print_table, say


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="one account; without it all of them")
    parser.add_argument("--end-all", action="store_true", help="end every session of NAME")
    parser.add_argument("--json", action="store_true")


def _run(options: argparse.Namespace) -> int:
    user = find_account(options.name) if options.name is not None else None
    if options.end_all:
        if user is None:
            complain("Name the account whose sessions end: `./panel sessions NAME --end-all`.")
            return 2
        ended = end_all(user, None)
        say(f"{'1 session' if ended == 1 else f'{ended} sessions'} of {user} ended.")
        return 0
    rows = sessions_of(user)
    if options.json:
        print_json([row.as_json() for row in rows])
        return 0
    now = timezone.now()
    print_table(
        ["account", "browser", "address", "seen", "signed in"],
        [
            (row.user, row.browser, row.address, ago(row.seen_at, now), ago(row.created_at, now))
            for row in rows
        ],
        "No user is signed in." if user is None else f"{user} is signed in nowhere.",
    )
    return 0


COMMANDS = (
    PanelCommand(
        ("sessions",),
        "list where accounts are signed in, or end all sessions of one",
        _run,
        _arguments,
    ),
)

"""`./panel policy …`: what is backed up by itself, when, where to, and how much is kept."""

import argparse
from datetime import time
from typing import cast

from django.utils import timezone

from backups.models import Policy
from backups.selectors.policies import find_policy
from backups.selectors.policy_rows import PolicyRow, policy_list, policy_row, without_policy
from backups.services.assign_policy import assign
from backups.services.delete_policy import delete_policy
from backups.services.policy_turn import policy_turn
from backups.services.save_policy import Changes, save_policy
from backups.services.story_policy import story_policy
from hosts.selectors.naming import find_vm
from labpanel.cli.output import complain, gap, print_json, print_table, say
from labpanel.lib.units import listed

HELP = "say what is backed up by itself: when, where to, how much is kept"
_NUMBERS = {
    "keep_last": "how many of the newest copies to keep",
    "keep_daily": "and one a day for so many days",
    "keep_weekly": "and one a week for so many weeks",
    "keep_monthly": "and one a month for so many months",
    "verify_days": "copies are read back at least so often",
    "rehearse_days": "copies are booted at least so often; 0: never",
    "deep_days": "everything is read, whatever the bitmap says, so often",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all policies")
    show = actions.add_parser("show", help="one policy, and what became of its last runs")
    story = actions.add_parser(
        "story", help="weekly, to another host and to this one, three copies, for every VM"
    )
    add = actions.add_parser("add", help="make a policy")
    change = actions.add_parser("set", help="change a policy")
    remove = actions.add_parser("remove", help="forget a policy; its copies stay")
    move = actions.add_parser("assign", help="say which policy takes a VM")
    for one in (show, add, change, remove):
        one.add_argument("name")
    for one in (add, change):
        _add_fields(one)
    change.add_argument("--name", dest="new_name", metavar="NAME", help="another name")
    move.add_argument("vm")
    which = move.add_mutually_exclusive_group(required=True)
    which.add_argument("policy", nargs="?")
    which.add_argument("--default", action="store_true", help="back to the default policy")
    turn = actions.add_parser("run", help="look now for what is due, not at the next minute")
    for one in (listing, show, story, add, change, turn):
        one.add_argument("--json", action="store_true")


def _add_fields(one: argparse.ArgumentParser) -> None:
    one.add_argument("--cron", help="when: five fields as in crontab(5), `0 2 * * 0`")
    one.add_argument("--timezone", metavar="NAME", help="of that time, `Europe/Berlin`")
    one.add_argument("--to", action="append", metavar="PLACE", help="far, near, or a store's name")
    for name, words in _NUMBERS.items():
        one.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=words)
    one.add_argument("--cap", type=_cap, metavar="MIB", help="MiB per second; 0: no cap")
    one.add_argument("--window", type=_window, metavar="HH:MM-HH:MM", help="or `always`")
    for name, words in (
        ("freeze", "ask the guest's agent to freeze for the instant"),
        ("default", "take every VM that no other policy names"),
        ("enabled", "switched on"),
    ):
        one.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=words)


def _cap(text: str) -> int:
    """MiB per second as bytes; 0 for none."""
    try:
        return round(float(text) * 2**20)
    except (OverflowError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of MiB per second") from error


def _window(text: str) -> tuple[time | None, time | None]:
    if text == "always":
        return None, None
    start, _, end = text.partition("-")
    try:
        return time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 01:00-05:00") from error


def run(options: argparse.Namespace) -> int:
    if options.action == "list":
        return _list(options)
    if options.action == "run":
        return _run(options)
    if options.action == "assign":
        vm = find_vm(options.vm)
        say(assign(vm, None if options.default else find_policy(options.policy)))
        return 0
    if options.action == "remove":
        say(delete_policy(find_policy(options.name)))
        return 0
    return _show(_made(options), options)


def _made(options: argparse.Namespace) -> Policy:
    """The policy that is shown or was just made or changed."""
    if options.action == "story":
        return story_policy()
    if options.action == "show":
        return find_policy(options.name)
    if options.action == "add":
        fresh: Changes = {"cron": "", "timezone": timezone.get_default_timezone_name()}
        return save_policy(None, {**fresh, **_changes(options), "name": options.name})
    changes = _changes(options)
    if options.new_name is not None:
        changes["name"] = options.new_name
    return save_policy(find_policy(options.name), changes)


def _changes(options: argparse.Namespace) -> Changes:
    given = {
        "cron": options.cron,
        "timezone": options.timezone,
        "places": options.to,
        "freeze": options.freeze,
        "is_default": options.default,
        "enabled": options.enabled,
        **{name: getattr(options, name) for name in _NUMBERS},
    }
    # argparse has seen to the types, and the names are those of Changes.
    changes = cast("Changes", {name: value for name, value in given.items() if value is not None})
    if options.cap is not None:
        changes["bytes_per_second"] = options.cap or None
    if options.window is not None:
        changes["window_start"], changes["window_end"] = options.window
    return changes


def _list(options: argparse.Namespace) -> int:
    rows = policy_list(timezone.now())
    if options.json:
        print_json([row.as_json() for row in rows])
        return 0
    print_table(
        ("name", "when", "where", "keeps", "VMs", "next (UTC)"),
        [
            (
                f"{row.policy.name}{' (default)' if row.policy.is_default else ''}",
                row.when,
                row.where,
                row.keeps,
                len(row.vms),
                f"{row.next_due:%Y-%m-%d %H:%M}" if row.next_due else "switched off",
            )
            for row in rows
        ],
        "There is no policy yet: nothing is backed up by itself. `./panel policy story` begins.",
    )
    _warn()
    return 0


def _show(policy: Policy, options: argparse.Namespace) -> int:
    row = policy_row(policy, timezone.now())
    if options.json:
        print_json(row.as_json())
        return 0
    say(_sentence(row))
    gap()
    print_table(
        ("vm", "place", "store", "state", "saved at (UTC)", "reason"),
        [
            (
                run.vm.name,
                run.place,
                run.store or None,
                run.words,
                f"{run.at:%Y-%m-%d %H:%M}" if run.at else None,
                run.reason,
            )
            for run in row.runs
        ],
        "It takes no VM just now.",
    )
    return 0


def _run(options: argparse.Namespace) -> int:
    begun = policy_turn(timezone.now())
    if options.json:
        print_json([{"job": job.pk, "title": job.title, "state": job.state} for job in begun])
        return 0
    for job in begun:
        say(f"Job {job.pk}: {job.title}.")
    if not begun:
        say("Nothing is due, or what is due has to wait: `./panel policy show NAME` says why.")
    return 0


def _sentence(row: PolicyRow) -> str:
    who = "every VM that no other policy names" if row.policy.is_default else "the VMs it names"
    off = "" if row.policy.enabled else " It is switched off."
    return f"{row.policy.name} saves {who} {row.when}, {row.where}, and keeps {row.keeps}.{off}"


def _warn() -> None:
    bare = [vm.name for vm in without_policy()]
    if bare:
        complain(f"Nothing saves {listed(bare)} by itself.")

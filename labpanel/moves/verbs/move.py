"""`./panel move VM`: take a VM to another host, or show what that would do."""

import argparse
from dataclasses import dataclass

from hosts.models import Host
from hosts.selectors.naming import find_host, find_vm
from labpanel.jobs import waiting
from labpanel.jobs.models import Job
from labpanel.jobs.opening import opened
from labpanel.lib.actor import Actor
from labpanel.lib.definition import spoken
from labpanel.lib.units import size
from labpanel.moves.services.move import ask
from labpanel.moves.services.plan import MovePlan, plan
from labpanel.moves.services.plan_json import plan_json
from labpanel.verbs import reach
from labpanel.verbs.command import Options, PanelCommand, actor_of, print_answer
from labpanel.verbs.fields import option, word
from labpanel.verbs.output import print_table, say
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Move:
    """`accept_reach` is the code that a refusal names."""

    vm: str = word()
    to: str = option("which host; default: the best one", "")
    accept_reach: str = option("let the VM reach into the host as the refusal lists it", "")
    drop_reach: bool = option("leave out what reaches into the host", False)


def _do(actor: Actor, given: Move) -> Job:
    word_on_reach = spoken(given.accept_reach, drop=given.drop_reach)
    return ask(find_vm(given.vm), _host(given), actor, word_on_reach)


def _plan(_: Actor, given: Move) -> MovePlan:
    word_on_reach = spoken(given.accept_reach, drop=given.drop_reach)
    return plan(find_vm(given.vm), _host(given), word_on_reach)


def _host(given: Move) -> Host | None:
    return find_host(given.to) if given.to else None


def _show(found: MovePlan) -> None:
    if found.possible:
        way = f"{found.way}, copying {size(found.copied_bytes)}"
        say(f"{found.vm} would move from {found.host} to {found.target}, {way}.")
        if found.lasts:
            say(found.lasts.sentence)
    else:
        where = f" to {found.target}" if found.target else ""
        say(f"{found.vm} cannot be moved{where} now.")
    for sentence in found.obstacles:
        say(f"No: {sentence}")
    for sentence in found.warnings:
        say(f"Note: {sentence}")
    rows = [
        [one.target.name, "yes" if one.fits else "no", ", ".join(one.reasons)]
        for one in found.candidates
    ]
    if not found.barred:  # else no host, however roomy, changes the verdict
        print_table(["host", "fits", "why"], rows)


MOVE = Verb(
    "move",
    "take a VM to another host",
    Move,
    _do,
    opened,
    ApiRoute("POST", "vms/<uuid:vm>/move", 202),
)
PLAN = Verb(
    "move plan",
    "show what a move would do",
    Move,
    _plan,
    plan_json,
    ApiRoute("GET", "vms/<uuid:vm>/move-plan"),
    _show,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm")
    parser.add_argument(
        "--to", metavar="HOST", default="", help="which host; default: the best one"
    )
    parser.add_argument("--plan", action="store_true", help="only show what would be done")
    reach.add_arguments(parser)
    waiting.add_arguments(parser)


def _run(options: Options) -> int:
    """Of a plan: 0 if the move could be done now, 1 if something forbids it."""
    given = Move(options.vm, options.to, options.accept_reach, options.drop_reach)
    actor = actor_of(options)
    if not options.plan:
        return waiting.follow(MOVE.perform(actor, given), options)
    found = PLAN.perform(actor, given)
    print_answer(PLAN, options, found)
    return 0 if found.possible else 1


VERBS = (MOVE, PLAN)
COMMANDS = (PanelCommand(("move",), MOVE.summary, _run, _arguments, VERBS),)

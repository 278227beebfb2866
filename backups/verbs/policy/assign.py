"""`./panel policy assign VM POLICY`: say which policy takes a VM."""

import argparse
from dataclasses import dataclass

from backups.selectors.policies.policies import find_policy
from backups.services.policies.assign_policy import assign
from hosts.selectors.naming import find_vm
from labpanel.lib.actor import Actor
from labpanel.verbs.command import Options, PanelCommand, add_json, answer
from labpanel.verbs.fields import word
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb, as_sentence


@dataclass(frozen=True, slots=True)
class Assign:
    """Without a policy the VM goes back to the default one."""

    vm: str = word()
    policy: str = word("its name; the default policy without", "")


def _do(_: Actor, given: Assign) -> str:
    policy = find_policy(given.policy) if given.policy else None
    return assign(find_vm(given.vm), policy)


ASSIGN = Verb(
    "policy assign",
    "say which policy takes a VM",
    Assign,
    _do,
    as_sentence,
    ApiRoute("POST", "policies/assign"),
    say,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("policy", nargs="?")
    which.add_argument("--default", action="store_true", help="back to the default policy")
    add_json(parser)


def _run(options: Options) -> int:
    if not options.default:
        find_vm(options.vm)
        find_policy(options.policy)  # an empty word names no policy: said, not the default's
    return answer(ASSIGN, options, Assign(options.vm, options.policy or ""))


VERBS = (ASSIGN,)
COMMANDS = (PanelCommand(("policy", "assign"), ASSIGN.summary, _run, _arguments, (ASSIGN,)),)

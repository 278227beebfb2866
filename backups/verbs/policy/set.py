"""`./panel policy set NAME`: change a policy."""

import argparse
from dataclasses import dataclass

from backups.models import Policy
from backups.selectors.policies.policies import find_policy
from backups.services.policies.save_policy import save_policy
from backups.verbs.policy.fields import PolicyInput, add_policy_fields, changes_of, typed
from backups.verbs.policy.show import policy_json, show_policy
from labpanel.lib.actor import Actor
from labpanel.verbs.command import Options, PanelCommand, add_json, answer
from labpanel.verbs.fields import option, word
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPolicy(PolicyInput):
    policy: str = word(metavar="name")
    name: str | None = option("another name", None)


def _do(_: Actor, given: SetPolicy) -> Policy:
    policy, changes = find_policy(given.policy), changes_of(given)
    if given.name is not None:
        changes["name"] = given.name
    return save_policy(policy, changes)


SET = Verb(
    "policy set",
    "change a policy",
    SetPolicy,
    _do,
    policy_json,
    ApiRoute("PATCH", "policies/<str:policy>"),
    show_policy,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("policy", metavar="name")
    add_policy_fields(parser)
    parser.add_argument("--name", metavar="NAME", help="another name")
    add_json(parser)


def _run(options: Options) -> int:
    given = SetPolicy(policy=options.policy, name=options.name, **typed(options))
    return answer(SET, options, given)


VERBS = (SET,)
COMMANDS = (PanelCommand(("policy", "set"), SET.summary, _run, _arguments, (SET,)),)

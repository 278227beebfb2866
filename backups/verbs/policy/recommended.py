"""`./panel policy recommended`: the policy that the panel recommends, made the default one."""

from dataclasses import replace

from backups.models import Policy
from backups.services.policies.recommended_policy import recommended_policy
from backups.verbs.policy.show import policy_json, show_policy
from labpanel.lib.actor import Actor
from labpanel.verbs.command import command_of
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


def _do(_: Actor, __: Nothing) -> Policy:
    return recommended_policy()


RECOMMENDED = Verb(
    "policy recommended",
    "weekly, to another host and to this one, three copies, for every VM",
    Nothing,
    _do,
    policy_json,
    ApiRoute("POST", "policies/recommended", 201, formerly="policies/story"),
    show_policy,
)
_COMMAND = command_of(RECOMMENDED)
VERBS = (RECOMMENDED,)
COMMANDS = (_COMMAND, replace(_COMMAND, words=("policy", "story"), listed=False))  # its name before

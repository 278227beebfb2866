"""`./panel policy add NAME`: make a policy."""

import argparse
from dataclasses import dataclass

from django.utils import timezone

from backups.models import Policy
from backups.services.policies.save_policy import save_policy
from backups.verbs.policy.fields import PolicyInput, add_policy_fields, changes_of, typed
from backups.verbs.policy.show import policy_json, show_policy
from labpanel.lib.actor import Actor
from labpanel.verbs.command import Options, PanelCommand, add_json, answer
from labpanel.verbs.fields import option
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPolicy(PolicyInput):
    name: str = option("its name")
    cron: str = option("when: five fields as in crontab(5), `0 2 * * 0`")
    places: list[str] = option("far, near, or a store's name")


def _do(_: Actor, given: AddPolicy) -> Policy:
    changes = changes_of(given)
    changes["name"] = given.name
    changes.setdefault("timezone", timezone.get_default_timezone_name())
    return save_policy(None, changes)


ADD = Verb(
    "policy add",
    "make a policy",
    AddPolicy,
    _do,
    policy_json,
    ApiRoute("POST", "policies", 201),
    show_policy,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    add_policy_fields(parser)
    add_json(parser)


def _run(options: Options) -> int:
    found = typed(options)
    found["cron"] = found["cron"] or ""  # the service says what a policy needs
    found["places"] = found["places"] or []
    return answer(ADD, options, AddPolicy(name=options.name, **found))


VERBS = (ADD,)
COMMANDS = (PanelCommand(("policy", "add"), ADD.summary, _run, _arguments, (ADD,)),)

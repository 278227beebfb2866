"""`./panel policy show NAME`: one policy."""

from dataclasses import dataclass

from django.utils import timezone

from backups.models import Policy
from backups.selectors.policies.policies import find_policy
from backups.selectors.policies.policy_rows import PolicyJson, PolicyRow, policy_row
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import word
from labpanel.verbs.output import gap, print_table, say
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class OnePolicy:
    policy: str = word(metavar="name")


def _do(_: Actor, given: OnePolicy) -> Policy:
    return find_policy(given.policy)


def policy_json(policy: Policy) -> PolicyJson:
    return policy_row(policy, timezone.now()).as_json()


def show_policy(policy: Policy) -> None:
    """What it says, and what became of its last runs."""
    row = policy_row(policy, timezone.now())
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


def _sentence(row: PolicyRow) -> str:
    who = "every VM that no other policy names" if row.policy.is_default else "the VMs it names"
    off = "" if row.policy.enabled else " It is switched off."
    return f"{row.policy.name} saves {who} {row.when}, {row.where}, and keeps {row.keeps}.{off}"


VERBS = (
    Verb(
        "policy show",
        "one policy, and what became of its last runs",
        OnePolicy,
        _do,
        policy_json,
        ApiRoute("GET", "policies/<str:policy>"),
        show_policy,
    ),
)

"""`./panel policy remove NAME`: forget a policy."""

from backups.selectors.policies.policies import find_policy
from backups.services.policies.delete_policy import delete_policy
from backups.verbs.policy.show import OnePolicy
from labpanel.lib.actor import Actor
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb, as_sentence


def _do(_: Actor, given: OnePolicy) -> str:
    return delete_policy(find_policy(given.policy))


VERBS = (
    Verb(
        "policy remove",
        "forget a policy; its copies stay",
        OnePolicy,
        _do,
        as_sentence,
        ApiRoute("DELETE", "policies/<str:policy>"),
        say,
    ),
)

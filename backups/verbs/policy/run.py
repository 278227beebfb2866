"""`./panel policy run`: look now for what is due."""

from django.utils import timezone

from backups.services.policies.schedule_all import policy_turn
from labpanel.jobs.models import Job
from labpanel.jobs.opening import Opened, opened
from labpanel.lib.actor import Actor
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


def _do(_: Actor, __: Nothing) -> list[Job]:
    return policy_turn(timezone.now())


def _opened(begun: list[Job]) -> list[Opened]:
    return [opened(job) for job in begun]


def _show(begun: list[Job]) -> None:
    for job in begun:
        say(f"Job {job.pk}: {job.title}.")
    if not begun:
        say("Nothing is due, or what is due has to wait: `./panel policy show NAME` says why.")


VERBS = (
    Verb(
        "policy run",
        "look now for what is due, not at the next minute",
        Nothing,
        _do,
        _opened,
        ApiRoute("POST", "policies/run", 202),
        _show,
    ),
)

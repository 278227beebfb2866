"""`./panel exclude VM DISK --reason …`: a disk that need not be saved, and why."""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime

from backups.models import Exclusion
from backups.selectors.policies.exclusions import as_json
from backups.services.policies.exclude_disk import exclude
from hosts.selectors.naming import find_vm
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from labpanel.verbs.fields import option, word
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb


def _day(text: str) -> str:
    try:
        datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2026-12-31") from error
    return text


@dataclass(frozen=True, slots=True)
class Exclude:
    """`until` is an ISO 8601 day or time, UTC unless it says otherwise; without an end if empty."""

    vm: str = word()
    disk: str = word("its target, vda")
    reason: str = option("why it need not be saved")
    until: str = option("YYYY-MM-DD; default: without an end", "", metavar="DATE", read=_day)


def _do(actor: Actor, given: Exclude) -> Exclusion:
    return exclude(
        find_vm(given.vm),
        given.disk,
        given.reason,
        by=actor,
        until=_moment(given.until) if given.until else None,
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(f"{text!r} is not a day like 2026-12-31.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show(kept: Exclusion) -> None:
    until = f" until {kept.until:%Y-%m-%d}" if kept.until else ""
    say(f"{kept.target} of {kept.vm.name} is left out of the backups{until}: {kept.reason}")


VERBS = (
    Verb(
        "exclude",
        "leave a virtual disk out of the backups, with the reason",
        Exclude,
        _do,
        as_json,
        ApiRoute("POST", "exclusions", 201),
        _show,
        signed=True,
    ),
)

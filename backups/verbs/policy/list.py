"""`./panel policy list`: all policies."""

from django.utils import timezone

from backups.selectors.policies.policy_rows import (
    PolicyJson,
    PolicyRow,
    policy_list,
    without_policy,
)
from labpanel.lib.actor import Actor
from labpanel.lib.units import listed
from labpanel.verbs.output import complain, print_table
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


def _do(_: Actor, __: Nothing) -> list[PolicyRow]:
    return policy_list(timezone.now())


def _rows(rows: list[PolicyRow]) -> list[PolicyJson]:
    return [row.as_json() for row in rows]


def _show(rows: list[PolicyRow]) -> None:
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
        "There is no policy yet, so nothing is backed up. `./panel policy recommended` makes one.",
    )
    bare = [vm.name for vm in without_policy()]
    if bare:
        complain(f"No policy backs up {listed(bare)}.")


VERBS = (
    Verb("policy list", "all policies", Nothing, _do, _rows, ApiRoute("GET", "policies"), _show),
)

"""`./panel exclusions`: the disks that are left out of the backups, and why."""

from backups.models import Exclusion
from backups.selectors.policies.exclusions import ExclusionJson, as_json, exclusion_list
from labpanel.lib.actor import Actor
from labpanel.verbs.output import print_table
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


def _do(_: Actor, __: Nothing) -> list[Exclusion]:
    return list(exclusion_list())


def _rows(found: list[Exclusion]) -> list[ExclusionJson]:
    return [as_json(each) for each in found]


def _show(found: list[Exclusion]) -> None:
    print_table(
        ["vm", "disk", "since (UTC)", "until (UTC)", "by", "because"],
        [
            (
                each.vm.name,
                each.target,
                f"{each.since:%Y-%m-%d %H:%M}",
                f"{each.until:%Y-%m-%d}" if each.until else None,
                each.by,
                each.reason,
            )
            for each in found
        ],
        "No disk is left out of the backups.",
    )


VERBS = (
    Verb(
        "exclusions",
        "list the disks that are left out of the backups",
        Nothing,
        _do,
        _rows,
        ApiRoute("GET", "exclusions"),
        _show,
    ),
)

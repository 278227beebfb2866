"""`./panel hold [VM --reason …]`: nothing of a VM is pruned while its source is suspect."""

import argparse
from dataclasses import dataclass

from backups.models import Hold
from backups.selectors.copies.holds import HoldJson, as_json, hold_list
from backups.services.index.hold import hold
from hosts.selectors.naming import find_vm
from labpanel.lib.actor import Actor
from labpanel.verbs.command import Options, PanelCommand, add_by, add_json, answer
from labpanel.verbs.fields import option, word
from labpanel.verbs.output import print_table, say
from labpanel.verbs.verb import ApiRoute, Nothing, Verb


@dataclass(frozen=True, slots=True)
class HoldVM:
    vm: str = word()
    reason: str = option("why its source is suspect")


def _do(actor: Actor, given: HoldVM) -> Hold:
    return hold(find_vm(given.vm), given.reason, actor)


def _show(kept: Hold) -> None:
    say(f"Nothing of {kept.vm.name} is pruned from now on: {kept.reason}.")


def _list(_: Actor, __: Nothing) -> list[Hold]:
    return list(hold_list())


def _rows(found: list[Hold]) -> list[HoldJson]:
    return [as_json(each) for each in found]


def _show_list(found: list[Hold]) -> None:
    print_table(
        ["vm", "held since (UTC)", "by", "because"],
        [(each.vm.name, f"{each.since:%Y-%m-%d %H:%M}", each.by, each.reason) for each in found],
        "No VM is held.",
    )


HOLD = Verb(
    "hold",
    "keep every backup of a VM from being pruned",
    HoldVM,
    _do,
    as_json,
    ApiRoute("POST", "holds", 201),
    _show,
    signed=True,
)
HOLDS = Verb(
    "holds",
    "list the VMs that are held",
    Nothing,
    _list,
    _rows,
    ApiRoute("GET", "holds"),
    _show_list,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm", nargs="?")
    parser.add_argument("--reason", default="", help="why its source is suspect")
    add_by(parser)
    add_json(parser)


def _run(options: Options) -> int:
    if options.vm is None:
        return answer(HOLDS, options, Nothing())
    return answer(HOLD, options, HoldVM(options.vm, options.reason))


VERBS = (HOLD, HOLDS)
COMMANDS = (
    PanelCommand(
        ("hold",),
        "keep every backup of a VM from being pruned; without a VM, list those that are held",
        _run,
        _arguments,
        VERBS,
    ),
)

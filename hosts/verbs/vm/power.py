"""`./panel vm start VM` and its like."""

import argparse
from dataclasses import dataclass

from hosts.selectors.naming import find_vm
from hosts.services.vms import power
from hosts.verbs.vm.show import OneVM
from labpanel.jobs import waiting
from labpanel.jobs.models import Job
from labpanel.jobs.opening import opened
from labpanel.lib.actor import Actor
from labpanel.verbs.command import Options, PanelCommand, actor_of
from labpanel.verbs.fields import option
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Power(OneVM):
    verb: str = option(", ".join(power.VERBS))


def _do(actor: Actor, given: Power) -> Job:
    return power.ask(find_vm(given.vm), given.verb, actor)


POWER = Verb(
    "vm power",
    "start, shut down, reboot, reset, switch off or resume a VM",
    Power,
    _do,
    opened,
    ApiRoute("POST", "vms/<uuid:vm>/power", 202),
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("vm")
    waiting.add_arguments(parser)


def _run(options: Options) -> int:
    given = Power(options.vm, options.action)
    return waiting.follow(POWER.perform(actor_of(options), given), options)


VERBS = (POWER,)
COMMANDS = tuple(
    PanelCommand(("vm", verb), title.lower(), _run, _arguments, (POWER,))
    for verb, (title, _) in power.VERBS.items()
)

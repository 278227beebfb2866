"""`./panel vm remove VM`: remove a VM that the panel made."""

import sys
from dataclasses import dataclass, replace

from backups.selectors.restore.made import made_vm
from backups.services.made_vms.ask_remove_vm import RemovalRequest, ask_remove
from hosts.selectors.naming import find_vm
from labpanel.jobs import waiting
from labpanel.jobs.models import Job
from labpanel.jobs.opening import follow_arguments, opened
from labpanel.lib.actor import Actor
from labpanel.verbs.command import Options, PanelCommand, actor_of, read
from labpanel.verbs.fields import option, word
from labpanel.verbs.output import say
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Remove:
    vm: str = word()
    images: bool = option("delete its images too", False)
    confirm: str = option("the VM's name, for --images", "", metavar="NAME")
    switch_off: bool = option("if it runs: what it has not written is lost", False)


def _do(actor: Actor, given: Remove) -> Job:
    wish = RemovalRequest(given.images, given.confirm, given.switch_off)
    return ask_remove(find_vm(given.vm), wish, asked_by=actor)


REMOVE = Verb(
    "vm remove",
    "remove a VM that the panel made, e.g. a trial restore",
    Remove,
    _do,
    opened,
    ApiRoute("POST", "vms/<uuid:vm>/removal", 202),
)


def _run(options: Options) -> int:
    given = _confirmed(read(REMOVE, options))
    return waiting.follow(REMOVE.perform(actor_of(options), given), options)


def _confirmed(given: Remove) -> Remove:
    """With the VM's name, which a person types where it is needed."""
    vm = find_vm(given.vm)
    made = made_vm(vm)
    if made is None or given.confirm or not sys.stdin.isatty():
        return given
    if not given.images and made.trial:
        return given
    fate = "are deleted" if given.images else "stay"
    say(f"{vm.name} is removed from {vm.host.name}; these images {fate}:")
    for path in made.paths:
        say(f"  {path}")
    return replace(given, confirm=input("Type the VM's name to go on: "))


VERBS = (REMOVE,)
COMMANDS = (
    PanelCommand(("vm", "remove"), REMOVE.summary, _run, follow_arguments(REMOVE), (REMOVE,)),
)

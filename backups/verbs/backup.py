"""`./panel backup VM`: all its virtual disks at one instant, as one generation in a store."""

from dataclasses import dataclass

from backups.selectors.stores.stores import find_store, store_for
from backups.services.backup.back_up import ask_for_backup
from hosts.selectors.naming import find_vm
from labpanel.jobs.models import Job
from labpanel.jobs.opening import following, opened
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import option, word
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class Backup:
    vm: str = word()
    store: str = option("which store; default: one away from the VM's host", "")
    deep: bool = option(
        "read everything, and tell if QEMU's record of what changed had missed something",
        False,
        api=False,
    )


def _do(actor: Actor, given: Backup) -> Job:
    vm = find_vm(given.vm)
    store = find_store(given.store) if given.store else store_for(vm)
    return ask_for_backup(vm, store, deep=given.deep, asked_by=actor)


BACKUP = Verb(
    "backup",
    "back up a VM, all its disks at one instant",
    Backup,
    _do,
    opened,
    ApiRoute("POST", "backups", 202),
)
VERBS = (BACKUP,)
COMMANDS = (following(BACKUP),)

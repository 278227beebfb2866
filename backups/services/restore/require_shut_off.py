"""A VM whose disks are to be put aside must be off, with nothing that hangs on what they hold."""

import time

from labpanel.adapters.libvirt.uses.definitions import Stored
from labpanel.adapters.libvirt.uses.jobs import Restores
from labpanel.adapters.libvirt.xml import backup_xml
from labpanel.adapters.libvirt.xml.instant_xml import borrows
from labpanel.jobs.work import Failed, Work
from labpanel.lib.disks import SourceDisk

SHUT_DOWN_SECONDS = 180
_POLL_SECONDS = 1.0


def standing_still(
    work: Work, hypervisor: Restores, uuid: str, name: str, *, shut_down: bool = False
) -> dict[str, SourceDisk]:
    """The VM's disks by target, once it is off; with `shut_down` its guest is asked to.

    Raises Failed with the reason if it runs, or if something would not fit the new disks.
    """
    found = _facts(hypervisor, uuid, name)
    if found.active and shut_down:
        _shut_down(work, hypervisor, uuid, name)
        found = _facts(hypervisor, uuid, name)
    if found.active:
        raise Failed(f"{name} runs; shut it down first, or have it shut down for this.")
    if found.managed_save:
        raise Failed(
            f"{name} was saved with its memory, which does not fit other disks; start it and shut "
            f"it down first."
        )
    if found.snapshots:
        raise Failed(
            f"{name} has libvirt snapshots, which lie in its images; remove them first, or restore "
            f"it under a new name."
        )
    backed = borrows(found.xml)
    if backed:
        raise Failed(
            f"{backed[0]} of {name} is an overlay on another image; restore it under a new name."
        )
    return {disk.target: disk for disk in backup_xml.source_disks(found.xml)}


def _facts(hypervisor: Restores, uuid: str, name: str) -> Stored:
    found = hypervisor.stored(uuid)
    if found is None:
        raise Failed(f"{name} is not known to its host any more.")
    return found


def _shut_down(work: Work, hypervisor: Restores, uuid: str, name: str) -> None:
    work.line(f"{name} is asked to shut down.")
    hypervisor.shutdown(uuid)
    until = time.monotonic() + SHUT_DOWN_SECONDS
    while _facts(hypervisor, uuid, name).active:
        work.check()
        if time.monotonic() > until:
            raise Failed(
                f"{name} did not shut down within {SHUT_DOWN_SECONDS} s; shut it down yourself."
            )
        time.sleep(_POLL_SECONDS)

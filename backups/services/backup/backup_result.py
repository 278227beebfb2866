"""How a backup ended, in a sentence, when its generation is complete."""

import errno

from backups.models import Generation
from backups.rules.backup.spans import lists
from backups.services.index import evidence
from hosts.models import VM
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed
from labpanel.lib.byte_spans import spelled
from labpanel.lib.hints import DEEP, FULL, READ
from labpanel.lib.io_fault import Access
from labpanel.lib.units import count

# Modes of a backup that read all of a disk that its map does not call zeros.
_ALL = {FULL, READ, DEEP}


def judge(vm: VM, generation: Generation, job: Job) -> None:
    """A generation that lacks what its source could not read is kept, but the job has failed, and
    the VM is held: its older generations are all that may be left."""
    disks = generation.manifest.disks
    evidence.store_was_written(generation.store)
    lacking = [disk for disk in disks if disk.unreadable]
    whole = [disk.source for disk in disks if disk.mode in _ALL and not disk.unreadable]
    evidence.image_was_read(vm.host, whole)
    if not lacking:
        return
    for disk in lacking:
        image = evidence.HostImage(vm.host, disk.source, disk.target, vm.name)
        evidence.of_image(job, image, Access.READ, lists(disk.unreadable), errno.EIO)
    what = "; ".join(f"{disk.target} at {spelled(disk.unreadable)}" for disk in lacking)
    what = f"{vm.host.name} cannot read all of {vm.name}: {what}"
    raise Failed(
        f"{what}. What can be read is kept as generation {generation.key}, marked damaged; nothing "
        f"older was replaced, and nothing of {vm.name} is pruned until you release it. "
        f"Look at that drive now."
    )


def sentence(generation: Generation) -> str:
    """What was kept; and loudly what QEMU's bitmap had missed."""
    disks = count(generation.disks.count(), "disk")
    kept = (
        f"{generation.vm_name} is backed up to {generation.store.name}: "
        f"{disks}, {generation.consistency}, generation {generation.key}."
    )
    missed = [disk for disk in generation.manifest.disks if disk.missed]
    if not missed:
        return kept
    what = "; ".join(f"{disk.target} at {spelled(disk.missed)}" for disk in missed)
    return (
        f"{kept} Warning: QEMU's record had missed changes ({what}). They are kept now, but "
        f"incremental backups of this VM since the last deep run may lack them."
    )

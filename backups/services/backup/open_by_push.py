"""Reading a running VM whose disks must not be served by QEMU: it copies them aside itself (push
mode), and the copies are read like the images of a VM that is off."""

import contextlib
import time
from collections.abc import Iterator

from backups.models import Generation
from backups.rules.backup import hints, scratch
from backups.services.backup.backup_guard import BackupWatch, GrowthFolder
from backups.services.backup.close_source import close_source
from backups.services.backup.end_backup import patiently
from backups.services.backup.open_by_pull import begin
from backups.services.backup.owed import FrozenGuest, OpenBackup
from backups.services.backup.set_aside import RoomWanted
from backups.services.backup.source import Facts, OpenDisks, SourcePlan
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export
from labpanel.adapters.images.source_host import SourceHost
from labpanel.adapters.libvirt.uses.backups import Way
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.adapters.libvirt.words import no_agent
from labpanel.adapters.libvirt.xml import backup_xml
from labpanel.jobs.work import Failed, Work
from labpanel.lib.disks import SourceDisk
from labpanel.lib.hints import DEEP, READ, Hint
from labpanel.lib.shapes import Progress
from labpanel.lib.units import size
from labpanel.lib.vm_state import PAUSED

LOOK_SECONDS = 0.5
_WHY = (
    "Its QEMU can crash when a disk with an iothread is read while the VM runs, so it was copied "
    "aside first, whole."
)


@contextlib.contextmanager
def pushed(
    work: Work,
    hypervisor: BacksUp,
    images: ImageHost,
    source: SourceHost,
    facts: Facts,
    tag: str,
    plan: SourcePlan,
    place: GrowthFolder,
    needed: int,
) -> Iterator[OpenDisks]:
    """`place` takes the copies, of `needed` bytes."""
    files = {disk.target: f"{place.path}/.{tag}-{disk.target}.staging" for disk in facts.disks}
    watch = BackupWatch(hypervisor, source, facts, place, limit=needed * 2)
    work.line(
        f"{facts.name} has a disk with an iothread, which its QEMU cannot serve safely: QEMU "
        f"copies {size(needed)} aside to {place.path} first."
    )
    known = facts.seen_images(source)
    mine, ran = tuple(files.values()), facts.state != PAUSED
    work.owe(OpenBackup(plan.host_key, facts.uuid, mark=mine[0], files=mine, ran=ran))
    work.owe(FrozenGuest(plan.host_key, facts.uuid))
    begun = False
    try:
        watch.begin(next(iter(files.values())), list(files.values()))
        ways = [Way(backup_xml.push_description(files))]
        started = begin(hypervisor, facts, plan, ways)
        begun = True
        if started.begun.thawed:
            work.no_longer_owes(FrozenGuest)
            source.thawed()
        _await(work, hypervisor, facts, watch)
        source.release()
        kinds = Generation.Consistency
        yield OpenDisks(
            exports={target: _serve(images, target, path) for target, path in files.items()},
            hints={disk.target: _hint(disk, plan) for disk in facts.disks},
            taken_at=started.at,
            consistency=kinds.QUIESCED if started.begun.quiesced else kinds.CRASH,
            note=no_agent(started.begun.why_not),
            look=lambda: None,
            boot=source.boot(facts.name, facts.uuid),
            nodes={disk.target: disk.node for disk in facts.disks},
            images=known,
        )
    except (AdapterError, Failed) as error:
        if begun:  # a guest that may be frozen is thawed first
            watch.explain(error)
        raise
    finally:
        close_source(work, hypervisor, images)


def needed_bytes(hypervisor: BacksUp, facts: Facts) -> int:
    """Room for a whole copy: a qcow2 image takes in its copy what it takes now, anything else may
    take all of its size."""
    needed = 0
    for disk in facts.disks:
        here = hypervisor.block_info(facts.uuid, disk.target)
        copied = min(here.capacity, here.allocation)
        needed += copied if disk.format == "qcow2" else here.capacity
    return needed


def wanted(needed: int, facts: Facts) -> RoomWanted:
    """What staging asks of a place."""
    return RoomWanted(
        f"a copy of its disks ({size(needed)}), which QEMU makes first since a disk with an "
        f"iothread cannot be served safely",
        lambda available, whole: scratch.enough_for_staging(available, whole, needed),
        f", shut {facts.name} down, remove the iothread, or update QEMU to 9.0 or later",
    )


def _await(work: Work, hypervisor: BacksUp, facts: Facts, watch: BackupWatch) -> None:
    while True:
        state = patiently(lambda: hypervisor.push_progress(facts.uuid))
        if not state.running:
            break
        work.progress(Progress(state.done_bytes, state.total_bytes, None, "copying aside"))
        work.check()
        watch.look()
        time.sleep(LOOK_SECONDS)
    watch.look()
    if not state.succeeded:
        raise Failed(f"QEMU could not copy the disks of {facts.name} aside; nothing counts.")


def _serve(images: ImageHost, target: str, path: str) -> Export:
    return Export(images.serve(target, path, "qcow2", writable=False), target)


def _hint(disk: SourceDisk, plan: SourcePlan) -> Hint:
    if disk.target not in plan.kept:
        return hints.first(disk)
    return Hint(DEEP if plan.deep else READ, _WHY)

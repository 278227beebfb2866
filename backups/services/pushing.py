"""Reading a running VM whose disks must not be served by QEMU: it copies them aside itself (push
mode), and the copies are read like the images of a VM that is off."""

import contextlib
import time
from collections.abc import Iterator

from backups.models import Generation
from backups.rules import hints, scratch
from backups.services.closing import close_source, patiently
from backups.services.pulling import begin
from backups.services.source import PAUSED, SHORT, Facts, Opened, Plan
from backups.services.watching import Place, Watch, place_of
from labpanel.adapters import backup_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.mover import Export
from labpanel.adapters.source_host import SourceHost
from labpanel.jobs.work import Failed, Work
from labpanel.lib.disks import SourceDisk
from labpanel.lib.hints import DEEP, READ, Hint
from labpanel.lib.shapes import Progress
from labpanel.lib.units import size

LOOK_SECONDS = 0.5
_WHY = (
    "Its QEMU can crash when a disk with an iothread is read while the VM runs, so it was copied "
    "aside first, whole."
)


@contextlib.contextmanager
def pushed(
    work: Work,
    hypervisor: Hypervisor,
    images: ImageHost,
    source: SourceHost,
    facts: Facts,
    tag: str,
    plan: Plan,
) -> Iterator[Opened]:
    place, needed = _reserved(hypervisor, images, facts)
    files = {disk.target: f"{place.path}/.{tag}-{disk.target}.staging" for disk in facts.disks}
    watch = Watch(hypervisor, source, facts, place, limit=needed * 2)
    work.line(
        f"{facts.name} has a disk with an iothread, which its QEMU cannot serve safely: QEMU "
        f"copies {size(needed)} aside to {place.path} first."
    )
    work.remember(staging=list(files.values()), froze=True, ran=facts.state != PAUSED)
    try:
        watch.begin(next(iter(files.values())), list(files.values()))
        ways = [{"xml": backup_xml.push_description(files), "checkpoint": "", "name": ""}]
        answer = begin(hypervisor, facts, plan, ways)
        if answer["thawed"]:
            source.thawed()
        work.remember(froze=False, owes_thaw=not answer["thawed"])
        _await(work, hypervisor, facts, watch)
        source.release()
        kinds = Generation.Consistency
        yield Opened(
            exports={target: _serve(images, target, path) for target, path in files.items()},
            hints={disk.target: _hint(disk, plan) for disk in facts.disks},
            taken_at=answer["at"],
            consistency=kinds.QUIESCED if answer["quiesced"] else kinds.CRASH,
            note=answer["why_not"],
            look=lambda: None,
            boot=source.boot(facts.name, facts.uuid),
            nodes={disk.target: disk.node for disk in facts.disks},
        )
    except (AdapterError, Failed) as error:
        if not work.job.state_data["froze"]:  # a guest that may be frozen is thawed first
            watch.explain(error)
        raise
    finally:
        thawed = close_source(hypervisor, images, facts.uuid, work.job.state_data)
        work.remember(closed=True, owes_thaw=not thawed)


def _reserved(hypervisor: Hypervisor, images: ImageHost, facts: Facts) -> tuple[Place, int]:
    """Room for a whole copy: a qcow2 image takes in its copy what it takes now, anything else may
    take all of its size."""
    place = place_of(images, facts)
    needed = 0
    for disk in facts.disks:
        info = hypervisor.call("block_info", deadline=SHORT, uuid=facts.uuid, target=disk.target)
        whole = int(info["capacity"])
        needed += min(whole, int(info["allocation"])) if disk.format == "qcow2" else whole
    if not scratch.enough_for_staging(place.available_bytes, place.size_bytes, needed):
        raise Failed(
            f"{facts.name} has a disk with an iothread, which its QEMU cannot serve safely, and "
            f"{place.path} has no room to copy {size(needed)} aside first: make room there, shut "
            f"{facts.name} down, remove the iothread, or update QEMU to 9.0 or later."
        )
    return place, needed


def _await(work: Work, hypervisor: Hypervisor, facts: Facts, watch: Watch) -> None:
    while True:
        state = patiently(lambda: hypervisor.call("push_progress", deadline=SHORT, uuid=facts.uuid))
        if not state["running"]:
            break
        done, total = int(state["done_bytes"]), int(state["total_bytes"])
        work.progress(Progress(done, total, None, "copying aside"))
        work.check()
        watch.look()
        time.sleep(LOOK_SECONDS)
    watch.look()
    if not state["succeeded"]:
        raise Failed(f"QEMU could not copy the disks of {facts.name} aside; nothing counts.")


def _serve(images: ImageHost, target: str, path: str) -> Export:
    return Export(images.serve(target, path, "qcow2", writable=False), target)


def _hint(disk: SourceDisk, plan: Plan) -> Hint:
    if disk.target not in plan.kept:
        return hints.first(disk)
    return Hint(DEEP if plan.deep else READ, _WHY)

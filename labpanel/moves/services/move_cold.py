"""Moving a VM that is off: its images copied and proven equal by digests taken on both hosts."""

from pathlib import PurePosixPath
from typing import Any

from backups.services.index.evidence import HostImage, noted
from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export, Moved, Mover, Tick
from labpanel.adapters.libvirt.xml import backup_xml
from labpanel.adapters.ssh import nbd_relay
from labpanel.jobs.work import Cancelled, Failed, Work
from labpanel.lib.disks import Below
from labpanel.lib.moving import MovingDisk
from labpanel.lib.shapes import Progress
from labpanel.moves.services.ends import Ends
from labpanel.moves.services.handover import Handover, Whereabouts, finish
from labpanel.moves.services.move_live import broken_off, make_images, settled
from labpanel.moves.services.plan import MovePlan


def move_cold(work: Work, plan: MovePlan, ends: Ends, hand: Handover) -> dict[str, Any]:
    """Returns `{"downtime_ms": None, "verified": True}`; else the VM is where it was."""
    try:
        make_images(plan, ends, hand)
        _copy_all(work, plan, ends, hand)
        _copy_nvram(plan, ends, hand)
        _switch(work, plan, ends, hand)
    except (AdapterError, Failed, Cancelled) as trouble:
        if not isinstance(trouble, Cancelled):
            work.line(trouble.sentence)
        outcome = settled(work, ends, hand)
        if outcome.place == Whereabouts.SOURCE and isinstance(trouble, Cancelled):
            raise
        if outcome.place != Whereabouts.DESTINATION:
            raise broken_off(trouble, outcome) from trouble
    return {"downtime_ms": None, "verified": True}


def _copy_all(work: Work, plan: MovePlan, ends: Ends, hand: Handover) -> None:
    assert plan.chosen is not None
    source, destination = ends.source.ground.machine, ends.destination.ground.machine
    with (
        ImageHost(source) as here,
        ImageHost(destination) as there,
        Mover(source) as reader,
        Mover(destination) as checker,
    ):
        origin, goal = (Host.objects.get(name=n) for n in (hand.source, hand.destination))
        before = here.stamps(hand.left)
        below = _below(plan, ends)
        meter = _Meter(work, sum(disk.capacity for disk in plan.disks) * 2)
        for disk in plan.disks:
            path = plan.chosen.target.paths[disk.source]
            reading = here.serve(
                "disk", disk.source, disk.format, writable=False, below=below[disk.source]
            )
            export = Export(reading, "disk")
            old = HostImage(origin, disk.source, disk.target, hand.name)
            new = HostImage(goal, path, disk.target, hand.name)
            with noted(work.job, read=old, write=new):
                sent = _send(meter, disk, path, ends, here, there, reader, export)
            with noted(work.job, read=new, write=new):
                arrived = _arrived(meter, disk, path, there, checker)
            if sent.root != arrived.root or sent.virtual_bytes != arrived.virtual_bytes:
                raise Failed(f"The copy of {disk.target} is not what was read on {hand.source}.")
            here.stop(export.socket)
            work.line(f"{disk.target}: equal on both hosts, digest {arrived.root[:16]}….")
        if here.stamps(hand.left) != before:
            raise Failed(f"{hand.name} was written to while it was copied; move it again.")


def _below(plan: MovePlan, ends: Ends) -> dict[str, Below]:
    """What each image may be based on: what libvirt names, and files in its storage pools or beside
    the VM's own images."""
    assert plan.source is not None
    disks = backup_xml.source_disks(plan.source.said.inactive_xml)
    named = {disk.source: disk.chain for disk in disks}
    own = {str(PurePosixPath(disk.source).parent) for disk in plan.disks}
    folders = tuple(sorted({*ends.source.libvirt.pool_folders(), *own} - {"/", "."}))
    return {disk.source: Below(named.get(disk.source, ()), folders) for disk in plan.disks}


class _Meter:
    """Progress over all disks, each read twice: at the source, then at the destination."""

    def __init__(self, work: Work, total: int) -> None:
        self._work = work
        self._total = total
        self._done = 0

    def tell(self, tick: Tick, phase: str) -> None:
        self._work.check()
        self._work.progress(Progress(self._done + tick.done_bytes, self._total, phase=phase))

    def add(self, moved: Moved) -> Moved:
        self._done += moved.virtual_bytes
        return moved


def _send(
    meter: _Meter,
    disk: MovingDisk,
    path: str,
    ends: Ends,
    here: ImageHost,
    there: ImageHost,
    reader: Mover,
    export: Export,
) -> Moved:
    writing = there.serve("disk", path, disk.format, writable=True)
    origin, reading = ends.destination.ground.machine, ends.source.ground.machine
    with nbd_relay.relayed(origin, reading, writing, here.sockets()) as socket:
        sent = reader.copy(
            export,
            Export(socket, "disk"),
            on_progress=lambda tick: meter.tell(tick, f"copying {disk.target}"),
        )
    there.stop(writing)
    return meter.add(sent)


def _arrived(meter: _Meter, disk: MovingDisk, path: str, there: ImageHost, checker: Mover) -> Moved:
    """Read the copy back where it lies now."""
    if disk.format != "raw":
        there.check(path, disk.format)
    export = Export(there.serve("disk", path, disk.format, writable=False), "disk")
    found = checker.digest(
        export, on_progress=lambda tick: meter.tell(tick, f"proving {disk.target}")
    )
    there.stop(export.socket)
    return meter.add(found)


def _copy_nvram(plan: MovePlan, ends: Ends, hand: Handover) -> None:
    path = plan.needs.nvram
    if path and path in hand.made:
        content = ends.source.ground.read_file(path)
        ends.destination.ground.write_file(hand.token, path, content)
        if ends.destination.ground.read_file(path) != content:
            raise Failed(f"The copy of {path} is not what was read on {hand.source}.")


def _switch(work: Work, plan: MovePlan, ends: Ends, hand: Handover) -> None:
    """Define there, forget here; a VM that was started meanwhile stays."""
    assert plan.chosen is not None and plan.source is not None
    xml = plan.source.said.inactive_xml
    if ends.source.libvirt.state(hand.uuid).active:
        raise Failed(f"{hand.name} was started while it was copied.")
    ends.destination.libvirt.define(plan.draft.persistent)
    ends.source.libvirt.undefine(hand.uuid)
    if ends.source.libvirt.state(hand.uuid).known:
        # It was started just now and runs on, without a definition.
        ends.source.libvirt.define(xml)
        raise Failed(f"{hand.name} was started while it was copied.")
    for note in finish(ends, hand).notes:
        work.line(note)

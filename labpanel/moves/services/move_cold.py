"""Moving a VM that is off: its images copied and proven equal by digests taken on both hosts."""

from typing import Any

from labpanel.adapters import move_xml, nbd_relay
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.mover import Export, Moved, Mover, Tick
from labpanel.jobs.work import Cancelled, Failed, Work
from labpanel.lib.moving import MovingDisk
from labpanel.lib.shapes import Progress
from labpanel.moves.services.ends import Ends
from labpanel.moves.services.handover import Handover, Place, finish
from labpanel.moves.services.move_live import broken_off, make_images, settled
from labpanel.moves.services.plan import Plan


def move_cold(work: Work, plan: Plan, ends: Ends, hand: Handover) -> dict[str, Any]:
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
        if outcome.place == Place.SOURCE and isinstance(trouble, Cancelled):
            raise
        if outcome.place != Place.DESTINATION:
            raise broken_off(trouble, outcome) from trouble
    return {"downtime_ms": None, "verified": True}


def _copy_all(work: Work, plan: Plan, ends: Ends, hand: Handover) -> None:
    assert plan.chosen is not None
    source, destination = ends.source.ground.machine, ends.destination.ground.machine
    with (
        ImageHost(source) as here,
        ImageHost(destination) as there,
        Mover(source) as reader,
        Mover(destination) as checker,
    ):
        before = here.stamps(hand.left)
        meter = _Meter(work, sum(disk.capacity for disk in plan.disks) * 2)
        for disk in plan.disks:
            path = plan.chosen.target.paths[disk.source]
            export = Export(here.serve("disk", disk.source, disk.format, writable=False), "disk")
            sent = _send(meter, disk, path, ends, here, there, reader, export)
            arrived = _arrived(meter, disk, path, there, checker)
            if sent.root != arrived.root or sent.virtual_bytes != arrived.virtual_bytes:
                raise Failed(f"The copy of {disk.target} is not what was read on {hand.source}.")
            here.stop(export.socket)
            work.line(f"{disk.target}: equal on both hosts, digest {arrived.root[:16]}….")
        if here.stamps(hand.left) != before:
            raise Failed(f"{hand.name} was written to while it was copied; move it again.")


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
            told=lambda tick: meter.tell(tick, f"copying {disk.target}"),
        )
    there.stop(writing)
    return meter.add(sent)


def _arrived(meter: _Meter, disk: MovingDisk, path: str, there: ImageHost, checker: Mover) -> Moved:
    """Read the copy back where it lies now."""
    if disk.format != "raw":
        there.check(path, disk.format)
    export = Export(there.serve("disk", path, disk.format, writable=False), "disk")
    found = checker.digest(export, told=lambda tick: meter.tell(tick, f"proving {disk.target}"))
    there.stop(export.socket)
    return meter.add(found)


def _copy_nvram(plan: Plan, ends: Ends, hand: Handover) -> None:
    path = plan.needs.nvram
    if path and path in hand.made:
        content = ends.source.ground.read_file(path)
        ends.destination.ground.write_file(hand.token, path, content)
        if ends.destination.ground.read_file(path) != content:
            raise Failed(f"The copy of {path} is not what was read on {hand.source}.")


def _switch(work: Work, plan: Plan, ends: Ends, hand: Handover) -> None:
    """Define there, forget here; a VM that somebody started meanwhile stays."""
    assert plan.chosen is not None and plan.source is not None
    xml = plan.source.said["inactive_xml"]
    if ends.source.see(hand.uuid).active:
        raise Failed(f"{hand.name} was started while it was copied.")
    target = plan.chosen.target
    empty = {disk.target for disk in plan.needs.media if disk.source in target.missing}
    ends.destination.call("define", xml=move_xml.rewritten(xml, target.paths, empty), deadline=30)
    ends.source.call("undefine", uuid=hand.uuid, deadline=30)
    if ends.source.see(hand.uuid).known:  # started just now: it runs on, without a definition
        ends.source.call("define", xml=xml, deadline=30)
        raise Failed(f"{hand.name} was started while it was copied.")
    for note in finish(ends, hand).notes:
        work.line(note)

"""Fill the new images of a restore from their generations, every digest checked on the way."""

from collections.abc import Sequence
from dataclasses import dataclass

from backups.services.index import evidence
from backups.services.index.meter import Meter
from backups.services.restore.pieces import Piece, RestoreStores
from backups.services.restore.placing import Places
from hosts.models import Host
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export, Moved
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.nbd_relay import relayed
from labpanel.jobs.work import Failed, Work


@dataclass(frozen=True, slots=True)
class Filled:
    """What crossed from the stores, in bytes and seconds: how fast getting back is."""

    bytes: int
    seconds: float


def fill(
    work: Work,
    sources: RestoreStores,
    images: ImageHost,
    there: Machine,
    pieces: Sequence[Piece],
    places: Places,
    host: Host,
) -> Filled:
    """One disk after the other, each under its partial name. Raises at the first rotten block."""
    meter = Meter(work, {piece.target: piece.virtual_bytes for piece in pieces}, "restoring")
    sent, seconds = 0, 0.0
    for piece in pieces:
        partial = places.partials[piece.target]
        into = evidence.HostImage(host, partial, piece.target, piece.generation.vm_name)
        with evidence.noted(work.job, read=piece.kept, write=into):
            moved = _fill_one(sources, images, there, piece, partial, meter)
        work.line(f"{piece.target} is restored from {piece.key}, every block as it was backed up.")
        sent, seconds = sent + moved.written_bytes, seconds + moved.seconds
    return Filled(sent, seconds)


def _fill_one(
    sources: RestoreStores,
    images: ImageHost,
    there: Machine,
    piece: Piece,
    partial: str,
    meter: Meter,
) -> Moved:
    opened, name = sources.of(piece.generation), piece.target
    images.create(partial, piece.format, piece.virtual_bytes)
    socket = images.serve(name, partial, piece.format, writable=True)
    near = sources.serve(piece)
    with relayed(there, opened.machine, socket, opened.folder) as far:
        moved = opened.mover.restore(
            Export(near, name),
            Export(far, name),
            sources.path(piece, piece.disk.list_file),
            on_progress=meter.of(name),
        )
    if moved.root != piece.disk.root:
        raise Failed(f"The digests of {name} in {piece.key} are not those of its manifest.")
    opened.keeper.stop(near)
    images.stop(socket)
    if piece.format == "qcow2":
        images.check(partial, piece.format)
    return moved

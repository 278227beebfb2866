"""Fill the new images of a restore from their generations, every digest checked on the way."""

from collections.abc import Sequence
from dataclasses import dataclass

from backups.services.meter import Meter
from backups.services.placing import Places
from backups.services.restore_pieces import Piece, Sources
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.machine import Machine
from labpanel.adapters.mover import Export, Moved
from labpanel.adapters.nbd_relay import relayed
from labpanel.jobs.work import Failed, Work


@dataclass(frozen=True, slots=True)
class Filled:
    """What crossed from the stores, in bytes and seconds: how fast getting back is."""

    bytes: int
    seconds: float


def fill(
    work: Work,
    sources: Sources,
    images: ImageHost,
    there: Machine,
    pieces: Sequence[Piece],
    places: Places,
) -> Filled:
    """One disk after the other, each under its partial name. Raises at the first rotten block."""
    meter = Meter(work, {piece.target: piece.virtual_bytes for piece in pieces}, "restoring")
    sent, seconds = 0, 0.0
    for piece in pieces:
        moved = _fill_one(sources, images, there, piece, places.partials[piece.target], meter)
        work.line(f"{piece.target} is restored from {piece.key}, every block as it was backed up.")
        sent, seconds = sent + moved.written_bytes, seconds + moved.seconds
    return Filled(sent, seconds)


def _fill_one(
    sources: Sources,
    images: ImageHost,
    there: Machine,
    piece: Piece,
    partial: str,
    meter: Meter,
) -> Moved:
    opened, name = sources.of(piece.generation), piece.target
    images.create(partial, piece.format, piece.virtual_bytes)
    socket = images.serve(name, partial, piece.format, writable=True)
    near = opened.keeper.serve(name, sources.path(piece, piece.disk["file"]))
    with relayed(there, opened.machine, socket, opened.folder) as far:
        moved = opened.mover.restore(
            Export(near, name),
            Export(far, name),
            sources.path(piece, piece.disk["digests"]["file"]),
            told=meter.of(name),
        )
    if moved.root != piece.disk["root"]:
        raise Failed(f"The digests of {name} in {piece.key} are not those of its manifest.")
    opened.keeper.stop(near)
    images.stop(socket)
    if piece.format == "qcow2":
        images.check(partial, piece.format)
    return moved

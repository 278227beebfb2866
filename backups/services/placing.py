"""Where on a host the disks of a restored VM go."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from backups.rules.naming import file_stem
from backups.services.restore_pieces import Piece
from hosts.models import Host
from hosts.selectors.images import image_folders
from labpanel.adapters.image_host import ImageHost
from labpanel.jobs.work import Failed, Work

_DEFAULT = "/var/lib/libvirt/images"
_MARGIN_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Places:
    """By target: the name while it is filled, and the final path; `stem` begins all of them."""

    stem: str
    partials: dict[str, str]
    paths: dict[str, str]


def choose_places(
    pieces: Sequence[Piece],
    need: int,
    host: Host,
    name: str,
    work: Work,
    images: ImageHost,
    form: str = "",
) -> Places:
    """Free names in a folder with `need` bytes of room. Raises Failed if there is none. `form` is
    the format of all images, by itself each disk's own."""
    folder = _folder(pieces, need + _MARGIN_BYTES, host, work, images)
    stem = file_stem(name, pieces[0].vm_uuid)
    return Places(
        stem,
        {piece.target: f"{folder}/.labpanel-{work.job.pk}-{piece.label}" for piece in pieces},
        {
            piece.target: _free(folder, stem, f"-{piece.target}.{form or piece.format}", images)
            for piece in pieces
        },
    )


def _free(folder: str, stem: str, ending: str, images: ImageHost) -> str:
    tries = [f"{folder}/{stem}{'' if n == 1 else f'-{n}'}{ending}" for n in range(1, 100)]
    taken = set(images.existing(tries))
    for path in tries:
        if path not in taken:
            return path
    raise Failed(f"{folder} already holds a hundred images of {stem}; choose another --path.")


def _folder(pieces: Sequence[Piece], need: int, host: Host, work: Work, images: ImageHost) -> str:
    """The asked-for folder, else the roomiest that already holds images of this host's VMs, else
    where the disks lay on their old host, else libvirt's own."""
    asked = str(work.job.parameters["path"]).rstrip("/")
    if asked:
        groups = [[asked]]
    else:
        groups = [
            image_folders(host),
            _parents([piece.disk["source"] for piece in pieces]),
            [_DEFAULT],
        ]
    most = 0
    for folders in groups:
        rooms = [room for path in folders if (room := images.room(path))["path"] == path]
        rooms = [room for room in rooms if room["writable"]]
        for room in sorted(rooms, key=lambda room: -int(room["available_bytes"])):
            if room["available_bytes"] >= need:
                return str(room["path"])
            most = max(most, int(room["available_bytes"]))
    raise _no_room(host, asked, need, most)


def _parents(paths: list[str]) -> list[str]:
    return sorted({str(PurePosixPath(path).parent) for path in paths if path.startswith("/")})


def _no_room(host: Host, asked: str, need: int, most: int) -> Failed:
    if asked and not most:
        return Failed(f"{asked} on {host.name} is not a directory that can be written to.")
    where = f"{asked} does not have" if asked else "no folder for images has"
    return Failed(
        f"On {host.name} {where} the {need >> 20} MiB of room that the disks need "
        f"({most >> 20} MiB are free); make room or choose another folder with --path."
    )

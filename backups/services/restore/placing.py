"""Where on a host the disks of a restored VM go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from backups.rules.restore.folders import DEFAULT, ranked
from backups.rules.restore.naming import file_stem
from backups.services.restore.pieces import Piece
from hosts.models import Host
from hosts.rules.placement.paths import may_hold_images
from hosts.selectors.images import images_by_folder
from labpanel.adapters.images.image_host import ImageHost
from labpanel.jobs.work import Failed, Work
from labpanel.lib.folder_room import FolderRoom

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
    pools: Sequence[str],
    image_format: str = "",
) -> Places:
    """Free names in a folder with `need` bytes of room. Raises Failed if there is none. `pools`
    are the folders of the host's storage pools; `image_format` is that of all images, by default
    each disk's own."""
    folder = _folder(pieces, need + _MARGIN_BYTES, host, work, images, pools)
    stem = file_stem(name, pieces[0].vm_uuid)
    return Places(
        stem,
        {piece.target: f"{folder}/.labpanel-{work.job.pk}-{piece.label}" for piece in pieces},
        {
            piece.target: free_path(
                folder, stem, f"-{piece.target}.{image_format or piece.format}", images
            )
            for piece in pieces
        },
    )


def free_path(folder: str, stem: str, ending: str, images: ImageHost) -> str:
    """A name that nothing there has. Raises Failed."""
    tries = [f"{folder}/{stem}{'' if n == 1 else f'-{n}'}{ending}" for n in range(1, 100)]
    taken = set(images.existing(tries))
    for path in tries:
        if path not in taken:
            return path
    raise Failed(f"{folder} already holds a hundred images of {stem}; choose another --path.")


def _folder(
    pieces: Sequence[Piece],
    need: int,
    host: Host,
    work: Work,
    images: ImageHost,
    pools: Sequence[str],
) -> str:
    """The asked-for folder, else the best one with room (rules/restore/folders.py)."""
    asked = str(work.job.parameters["path"]).rstrip("/")
    used = images_by_folder(host)
    most = 0
    for folders in [[asked]] if asked else _groups(pieces, pools, used):
        rooms = _rooms(folders, images)
        for room in sorted(rooms, key=lambda room: -room.available_bytes):
            if room.available_bytes >= need:
                return _told(room.path, pieces[0].vm_uuid, used, work, asked=bool(asked))
            most = max(most, room.available_bytes)
    others = (
        []
        if asked
        else [room.path for room in _rooms(sorted(used), images) if room.available_bytes >= need]
    )
    raise _no_room(host, asked, need, most, others)


def _told(
    folder: str, uuid: str, used: Mapping[str, Mapping[str, str]], work: Work, *, asked: bool
) -> str:
    """The folder, said where only one other VM has images in it so far."""
    others = [name for other, name in used.get(folder, {}).items() if other != uuid]
    if len(others) == 1 and uuid not in used[folder] and not asked:
        work.line(f"The images go to {folder}, where {others[0]} has images, too.")
    return folder


def _groups(
    pieces: Sequence[Piece], pools: Sequence[str], used: Mapping[str, Mapping[str, str]]
) -> list[list[str]]:
    own = [folder for folder, vms in used.items() if pieces[0].vm_uuid in vms]
    before = _parents([piece.disk.source for piece in pieces])
    return ranked(own, before, pools, {folder: list(vms.values()) for folder, vms in used.items()})


def _rooms(folders: Sequence[str], images: ImageHost) -> list[FolderRoom]:
    """Those that are there and can be written to."""
    found = [room for path in folders if (room := images.room(path)).path == path]
    return [room for room in found if room.writable]


def _parents(paths: list[str]) -> list[str]:
    """Those that a store may name as places: it also knows folders that the host acts on."""
    folders = {str(PurePosixPath(path).parent) for path in paths if path.startswith("/")}
    return sorted(folder for folder in folders if may_hold_images(folder, ()))


def _no_room(host: Host, asked: str, need: int, most: int, others: Sequence[str]) -> Failed:
    if asked and not most:
        return Failed(f"{asked} on {host.name} is not a directory that can be written to.")
    if not most and not others:
        return Failed(
            f"{host.name} has no folder for images that can be written to: none in which several "
            f"VMs have theirs, no storage pool, and no {DEFAULT}. Choose one with --path."
        )
    where = f"{asked} does not have" if asked else "no folder for images has"
    return Failed(
        f"On {host.name} {where} the {need >> 20} MiB of room that the disks need "
        f"({most >> 20} MiB are free); make room or choose another folder with --path"
        f"{f', {others[0]} say' if others else ''}."
    )

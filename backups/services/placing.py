"""Where on a host the disks of a restored VM go."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from backups.models import Generation
from backups.rules.naming import file_stem
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
    generation: Generation, host: Host, name: str, work: Work, images: ImageHost
) -> Places:
    """Free names in a folder with room. Raises Failed if there is none."""
    disks = generation.manifest["disks"]
    folder = _folder(disks, host, work, images)
    stem = file_stem(name, str(generation.vm_uuid))
    return Places(
        stem,
        {
            disk["target"]: f"{folder}/.labpanel-{work.job.pk}-{generation.key}-{disk['target']}"
            for disk in disks
        },
        {disk["target"]: _free(folder, stem, disk, images) for disk in disks},
    )


def _free(folder: str, stem: str, disk: dict[str, Any], images: ImageHost) -> str:
    ending = f"-{disk['target']}.{disk['source_format']}"
    tries = [f"{folder}/{stem}{'' if n == 1 else f'-{n}'}{ending}" for n in range(1, 100)]
    taken = set(images.existing(tries))
    for path in tries:
        if path not in taken:
            return path
    raise Failed(f"{folder} already holds a hundred images of {stem}; choose another --path.")


def _folder(disks: list[dict[str, Any]], host: Host, work: Work, images: ImageHost) -> str:
    """The asked-for folder, else the roomiest that already holds images of this host's VMs, else
    where the disks lay on their old host, else libvirt's own."""
    need = sum(disk["copied_bytes"] for disk in disks) + _MARGIN_BYTES
    asked = str(work.job.parameters["path"]).rstrip("/")
    if asked:
        groups = [[asked]]
    else:
        groups = [
            image_folders(host),
            _parents([disk["source"] for disk in disks]),
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

"""On which file system and drive of a machine a folder lies, from what its last look found."""

from dataclasses import dataclass
from typing import TypedDict

from backups.models import Store
from backups.selectors.stores.drives import file_system_of, keys_below
from hosts.models import FileSystem, Host, PhysicalDisk
from hosts.selectors.naming import local_host
from labpanel.lib.units import listed, size

# Where copies would not last: media, what the firmware starts from, and what a restart takes away.
_NO_PLACE = {"iso9660", "udf", "squashfs", "erofs", "vfat", "efivarfs", "tmpfs", "ramfs", "overlay"}
_OF_THE_SYSTEM = ("/boot", "/efi", "/recovery")
_LEAST_BYTES = 1 << 30
_MOST_PLACES = 6
FOLDER = "labpanel"


@dataclass(frozen=True, slots=True)
class StoreDrives:
    """`drives` in words; `images_of` are VMs of the host with images on one of them."""

    mount_point: str
    fstype: str
    available_bytes: int | None
    drives: tuple[str, ...]
    images_of: tuple[str, ...]

    @property
    def words(self) -> str:
        on = f", on {listed(list(self.drives))}" if self.drives else ", on a drive not known"
        return f"{self.mount_point} ({self.fstype}, {size(self.available_bytes)} free{on})"

    @property
    def beside(self) -> str:
        """The warning that a store here dies with the images."""
        if not self.images_of:
            return ""
        return f"the same drive as the images of {listed(list(self.images_of))}"


class PlaceJson(TypedDict):
    """A folder that may become a store: where it lies, and whose images lie on the same drive."""

    host: str
    path: str
    mount_point: str
    fstype: str
    available_bytes: int | None
    drives: list[str]
    same_drive_as_images_of: list[str]


@dataclass(frozen=True, slots=True)
class StoreFolder:
    """A folder that may become a store: it need not be there yet."""

    host: str
    path: str
    lies: StoreDrives

    @property
    def value(self) -> str:
        """As a form sends it back: names of hosts have no slash."""
        return f"{self.host}{self.path}"


def lies_on(host: Host | None, path: str) -> StoreDrives | None:
    """None for the panel's own machine, where it is not a host, and for what was never seen."""
    machine = host or local_host()
    system = file_system_of(machine, path) if machine else None
    return _lies(system, _images(system.host)) if system else None


def proposals() -> list[StoreFolder]:
    """Folders on file systems of all hosts that hold no store yet: those away from images first,
    then by room."""
    found = []
    for host in Host.objects.all():
        images = _images(host)
        taken = {_point(host, store.path) for store in Store.objects.filter(host=host)}
        systems = FileSystem.objects.filter(host=host, missing_since=None)
        places = [
            StoreFolder(host.name, _folder(system), _lies(system, images))
            for system in systems.prefetch_related("drives")
            if _may_keep(system) and system.mount_point not in taken
        ]
        places.sort(key=lambda place: (bool(place.lies.images_of), -_room(place)))
        found += places[:_MOST_PLACES]
    return sorted(found, key=lambda place: bool(place.lies.images_of))


def _folder(system: FileSystem) -> str:
    return f"/srv/{FOLDER}" if system.mount_point == "/" else f"{system.mount_point}/{FOLDER}"


def _may_keep(system: FileSystem) -> bool:
    point = f"{system.mount_point}/"
    return (
        system.fstype not in _NO_PLACE
        and "ro" not in system.options.split(",")
        and not any(point.startswith(f"{each}/") for each in _OF_THE_SYSTEM)
        and (system.available_bytes or 0) >= _LEAST_BYTES
    )


def _point(host: Host, path: str) -> str:
    system = file_system_of(host, path)
    return system.mount_point if system else ""


def _room(place: StoreFolder) -> int:
    return place.lies.available_bytes or 0


def _images(host: Host) -> dict[str, set[str]]:
    """What lies below images (keys_below) → VMs of this host."""
    found: dict[str, set[str]] = {}
    holding = FileSystem.objects.filter(host=host, images__missing_since=None)
    for system in holding.exclude(images=None).prefetch_related("drives", "images__vm").distinct():
        names = {disk.vm.name for disk in system.images.all() if disk.missing_since is None}
        for key in keys_below(system):
            found.setdefault(key, set()).update(names)
    return found


def _lies(system: FileSystem, images: dict[str, set[str]]) -> StoreDrives:
    beside = {name for key in keys_below(system) for name in images.get(key, ())}
    return StoreDrives(
        system.mount_point,
        system.fstype,
        system.available_bytes,
        tuple(_named(drive) for drive in system.drives.all()),
        tuple(sorted(beside)),
    )


def _named(drive: PhysicalDisk) -> str:
    return f"{drive.device} ({drive.model})" if drive.model else drive.device


def as_json(place: StoreFolder) -> PlaceJson:
    return {
        "host": place.host,
        "path": place.path,
        "mount_point": place.lies.mount_point,
        "fstype": place.lies.fstype,
        "available_bytes": place.lies.available_bytes,
        "drives": list(place.lies.drives),
        "same_drive_as_images_of": list(place.lies.images_of),
    }

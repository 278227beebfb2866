"""Where the files lie that QEMU writes while a backup of a running VM is open: beside its images,
or on another file system of the host where theirs takes no writes, has no room, or is in trouble.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from backups.services.backup.backup_guard import GrowthFolder
from backups.services.backup.owed import AsideFolder
from backups.services.backup.source import Facts, SourcePlan
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.source_host import SourceHost
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs.work import Failed, Work
from labpanel.lib.folder_room import FolderRoom
from labpanel.lib.units import size

_FALLBACK = "/var/lib/libvirt/images"


@dataclass(frozen=True, slots=True)
class RoomWanted:
    """`what` is to be written, as a sentence part; `fits` says whether so many free bytes of a file
    system of such a size are enough; `otherwise` is what else the owner can do."""

    what: str
    fits: Callable[[int, int], bool]
    otherwise: str = ""


@contextlib.contextmanager
def placed(
    work: Work,
    images: ImageHost,
    source: SourceHost,
    facts: Facts,
    plan: SourcePlan,
    name: str,
    wanted: RoomWanted,
) -> Iterator[GrowthFolder]:
    """The place; a folder that was made for it (`name`) goes afterwards. Raises Failed with what is
    wrong with each place that there is."""
    search = _Search(work, images, source, facts, plan, name, wanted)
    place = search.found()
    try:
        yield place
    finally:
        if place.aside:
            with contextlib.suppress(AdapterError):  # else a turn does it when the host is back
                # One that is not empty holds what libvirt could not be asked to let go.
                if images.remove_aside(place.path):
                    work.no_longer_owes(AsideFolder)


@dataclass(slots=True)
class _Search:
    work: Work
    images: ImageHost
    source: SourceHost
    facts: Facts
    plan: SourcePlan
    name: str
    wanted: RoomWanted

    def found(self) -> GrowthFolder:
        against: list[str] = []
        beside = self._beside()
        taken = {room.device for room in beside}
        order = (
            (self._elsewhere, self._at_home)
            if self.plan.suspect
            else (self._at_home, self._elsewhere)
        )
        for look in order:
            place = look(beside, taken, against)
            if place is not None:
                if place.aside:
                    self._say(place, against)
                return place
        raise Failed(self._refusal(against))

    def _at_home(
        self, beside: list[FolderRoom], taken: set[int], against: list[str]
    ) -> GrowthFolder | None:
        return self._first(beside, self._at, against)

    def _elsewhere(
        self, beside: list[FolderRoom], taken: set[int], against: list[str]
    ) -> GrowthFolder | None:
        rooms = [self.images.room(folder) for folder in self.plan.asides]
        others = [room for room in rooms if room.device not in taken]
        return self._first(others, self._made, against)

    def _first(
        self,
        rooms: list[FolderRoom],
        take: Callable[[FolderRoom], GrowthFolder],
        against: list[str],
    ) -> GrowthFolder | None:
        for room in rooms:
            available, whole = room.available_bytes, room.size_bytes
            if not self.wanted.fits(available, whole):
                against.append(f"{room.path} has too little room ({size(available)} free)")
                continue
            try:
                return take(room)
            except ScriptRefused as refused:
                against.append(refused.sentence.rstrip("."))
        return None

    def _beside(self) -> list[FolderRoom]:
        """Folders that hold an image of the VM, the roomiest first: QEMU can reach those under any
        user and AppArmor profile."""
        files = [disk for disk in self.facts.disks if disk.kind == "file"]
        folders = {str(PurePosixPath(disk.source).parent) for disk in files}
        rooms = [self.images.room(folder) for folder in sorted(folders) or [_FALLBACK]]
        return sorted(rooms, key=lambda room: -room.available_bytes)

    def _at(self, room: FolderRoom) -> GrowthFolder:
        path = room.path
        if why := self.images.takes_writes(path):
            raise ScriptRefused("not-writable", f"{path} takes no writes ({why})")
        return GrowthFolder(path, room.available_bytes, room.size_bytes)

    def _made(self, room: FolderRoom) -> GrowthFolder:
        base = room.path
        self.work.owe(AsideFolder(self.plan.host_key, f"{base.rstrip('/')}/{self.name}"))
        boot = self.source.boot(self.facts.name, self.facts.uuid)
        path = self.images.make_aside(base, self.name, boot)
        return GrowthFolder(path, room.available_bytes, room.size_bytes, aside=True)

    def _say(self, place: GrowthFolder, against: list[str]) -> None:
        why = "; ".join(against) or "what its images lie on is in trouble"
        what = self.wanted.what
        self.work.line(f"{what[:1].upper()}{what[1:]} goes to {place.path}: {why}.")

    def _refusal(self, against: list[str]) -> str:
        name = self.facts.name
        return (
            f"{name} was not backed up: there is no place on its host for {self.wanted.what}. "
            f"{'; '.join(against)}. Make room in one of them{self.wanted.otherwise}. "
            f"{self.plan.unsaved}"
        ).rstrip()

"""What is watched while a running VM is backed up, and the room set aside for it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from backups.rules import scratch
from backups.services.closing import patiently
from backups.services.source import BROKEN_WRITE, PAUSED, SHORT, Facts
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.source_host import SourceHost
from labpanel.jobs.work import Failed
from labpanel.lib.units import size

LOOKS = 5
AGAIN_SECONDS = 0.5
_FALLBACK = "/var/lib/libvirt/images"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder for files that grow beside a VM's images, and its file system in bytes."""

    path: str
    available_bytes: int
    size_bytes: int

    @property
    def floor(self) -> int:
        return scratch.floor(self.size_bytes)


def place_of(images: ImageHost, facts: Facts) -> Place:
    """The roomiest folder that holds an image of the VM, since QEMU can reach that under any user
    and AppArmor profile."""
    folders = {
        str(PurePosixPath(disk.source).parent) for disk in facts.disks if disk.kind == "file"
    }
    rooms = [images.room(folder) for folder in sorted(folders) or [_FALLBACK]]
    best = max(rooms, key=lambda room: int(room["available_bytes"]))
    return Place(str(best["path"]), int(best["available_bytes"]), int(best["size_bytes"]))


@dataclass(frozen=True, slots=True)
class Watch:
    """Over one VM while its backup is open; `limit` and `floor` in bytes, as the guard has them."""

    hypervisor: Hypervisor
    source: SourceHost
    facts: Facts
    place: Place
    limit: int

    def begin(self, mark: str, files: Sequence[str]) -> None:
        """Set the guard on the host."""
        self.source.guard(
            self.facts.uuid,
            mark,
            files,
            limit_bytes=self.limit,
            place=self.place.path,
            floor_bytes=self.place.floor,
        )

    def look(self) -> None:
        """Raise Failed if the backup was ended for the guest's sake, or the guest is off."""
        self._raise_if(self.source.look())
        state = patiently(
            lambda: self.hypervisor.call("state", deadline=SHORT, uuid=self.facts.uuid)
        )
        if reason := self._against(state):
            raise Failed(reason)

    def explain(self, error: Exception) -> None:
        """Raise Failed if the reason why the copying broke is here. A moment is given to it: QEMU
        hangs up before libvirt knows that it ended."""
        for _ in range(LOOKS):
            try:
                self.look()
            except Failed as reason:
                raise Failed(reason.sentence, f"{reason.detail} {error}".strip()) from error
            except AdapterError:
                return  # neither the host nor libvirt can be asked: what broke first is told
            time.sleep(AGAIN_SECONDS)

    def _raise_if(self, tripped: str) -> None:
        name, where = self.facts.name, self.place.path
        mended = "make room there and try again, or back it up when it writes less."
        if tripped == "scratch":
            raise Failed(
                f"What {name} overwrote during the backup took 80 % of the room reserved for it in "
                f"{where} ({size(self.limit)}), so the backup was ended before {name} could be "
                f"harmed; {mended}"
            )
        if tripped == "blind":
            raise Failed(
                f"{where}, where {name}'s images lie, cannot be looked at any more, so the backup "
                f"was ended. Look after that file system now."
            )
        if tripped == "room":
            raise Failed(
                f"{where} ran low (less than {size(self.place.floor)} free), so the backup was "
                f"ended before {name} could be harmed; {mended}"
            )

    def _against(self, state: dict[str, Any]) -> str:
        name = self.facts.name
        if state["id"] == -1:
            return (
                f"{name} was shut off in the middle of its backup; back it up again, it may be off."
            )
        if state["id"] != self.facts.id:
            return f"{name} was started anew in the middle of its backup; back it up again."
        stopped = (state["state"], state["reason"]) == (PAUSED, BROKEN_WRITE)
        if stopped and self.facts.state != PAUSED:
            return (
                f"A write of {name} failed during the backup and it was stopped; the backup was "
                f"ended and {name} goes on. Look after the room and the health of its disks."
            )
        return ""

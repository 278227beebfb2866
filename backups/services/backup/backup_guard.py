"""What is watched while a running VM is backed up, and the room set aside for it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from backups.rules.backup import scratch
from backups.services.backup.end_backup import patiently
from backups.services.backup.source import Facts
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.source_host import SourceHost
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.jobs.work import Failed
from labpanel.lib.units import size
from labpanel.lib.vm_state import PAUSED, DomainState

LOOKS = 5
AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class GrowthFolder:
    """The folder for files that grow while a backup is open, and its file system in bytes. `aside`:
    it was made for them, on another file system than that of the VM's images."""

    path: str
    available_bytes: int
    size_bytes: int
    aside: bool = False

    @property
    def floor(self) -> int:
        return scratch.floor(self.size_bytes)


@dataclass(frozen=True, slots=True)
class BackupWatch:
    """Over one VM while its backup is open; `limit` and `floor` in bytes, as the guard has them."""

    hypervisor: BacksUp
    source: SourceHost
    facts: Facts
    place: GrowthFolder
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
        state = patiently(lambda: self.hypervisor.state(self.facts.uuid))
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
                f"{where}, where {self._what}, cannot be looked at any more, so the backup was "
                f"ended. Check that file system now."
            )
        if tripped == "room":
            raise Failed(
                f"{where} ran low (less than {size(self.place.floor)} free), so the backup was "
                f"ended before {name} could be harmed; {mended}"
            )

    @property
    def _what(self) -> str:
        name = self.facts.name
        return f"what {name} overwrites lies" if self.place.aside else f"{name}'s images lie"

    def _against(self, state: DomainState) -> str:
        name = self.facts.name
        if not state.active:
            return f"{name} was shut off during its backup; back it up again while it is off."
        if state.run != self.facts.run:
            return f"{name} was restarted during its backup; back it up again."
        if state.stopped_by_a_write and self.facts.state != PAUSED:
            return (
                f"A write of {name} failed during the backup and it was stopped; the backup was "
                f"ended and {name} goes on. Check the free space and the health of its disks."
            )
        return ""

"""Opening all disks of a VM for reading at one instant: running by libvirt's pull backup, shut off
by qemu-nbd on its host."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from backups.models import Generation
from backups.rules import fit, scratch
from labpanel.adapters import backup_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.mover import Export
from labpanel.jobs.work import Failed, Work
from labpanel.lib.disks import SourceDisk

# A guest's agent that has not frozen its file systems by then is left alone.
FREEZE_SECONDS = 10
_SHORT = 15
_PAUSED = 3  # virDomainState: VIR_DOMAIN_PAUSED
_FALLBACK = "/var/lib/libvirt/images"


@dataclass(frozen=True, slots=True)
class Facts:
    """The VM as libvirt has it now (see libvirt_child/backup_calls.py), and its data disks."""

    uuid: str
    name: str
    id: int
    state: int
    active: bool
    xml: str
    inactive_xml: str
    job: bool
    libvirt: int
    qemu: int
    disks: tuple[SourceDisk, ...]

    def sized(self, hypervisor: Hypervisor, images: ImageHost) -> dict[str, int]:
        """Virtual size of each data disk in bytes, by target."""
        return {disk.target: self._size(disk, hypervisor, images) for disk in self.disks}

    def _size(self, disk: SourceDisk, hypervisor: Hypervisor, images: ImageHost) -> int:
        if not self.active:
            return images.virtual_bytes(disk.source, disk.format)
        info = hypervisor.call("block_info", deadline=_SHORT, uuid=self.uuid, target=disk.target)
        return int(info["capacity"])


def facts_of(hypervisor: Hypervisor, uuid: str, leave_out: Sequence[str] = ()) -> Facts:
    """Ask libvirt; raises Failed with every reason against a backup."""
    answer: dict[str, Any] = hypervisor.call("backup_facts", deadline=_SHORT, uuid=uuid)
    disks = tuple(
        disk
        for disk in backup_xml.source_disks(answer["xml"])
        if disk.holds_data and disk.target not in leave_out
    )
    facts = Facts(uuid=uuid, disks=disks, **answer)
    reasons = fit.obstacles(facts.name, disks, active=facts.active, busy=facts.job, qemu=facts.qemu)
    if reasons:
        raise Failed(" ".join(reasons))
    return facts


@dataclass(frozen=True, slots=True)
class Opened:
    """Exports by target, readable on the source host. `watch` is the folder of the scratch files
    and `floor` the free bytes there below which the backup must give up."""

    exports: dict[str, Export]
    taken_at: datetime
    consistency: str
    note: str
    watch: str
    floor: int


@contextlib.contextmanager
def opened_disks(
    work: Work, hypervisor: Hypervisor, images: ImageHost, facts: Facts, tag: str
) -> Iterator[Opened]:
    """All data disks of the VM as of one instant; everything made for it is gone afterwards."""
    if facts.active:
        with _pulled(work, hypervisor, images, facts, tag) as found:
            yield found
    else:
        with _served(hypervisor, images, facts) as found:
            yield found


@contextlib.contextmanager
def _pulled(
    work: Work, hypervisor: Hypervisor, images: ImageHost, facts: Facts, tag: str
) -> Iterator[Opened]:
    folder = images.domain_folder(facts.id)
    if not folder:
        raise Failed(f"libvirt's folder of the running {facts.name} was not found on its host.")
    socket = f"{folder}/{tag}"
    place, floor = _scratch_room(hypervisor, images, facts)
    files = {disk.target: f"{place}/.{tag}-{disk.target}.scratch" for disk in facts.disks}
    work.remember(socket=socket, scratch=list(files.values()), froze=True)
    try:
        began = datetime.now(UTC)
        answer = hypervisor.call(
            "backup_begin",
            deadline=FREEZE_SECONDS * 2 + 30,
            uuid=facts.uuid,
            xml=backup_xml.pull_description(socket, files),
            freeze_seconds=0 if facts.state == _PAUSED else FREEZE_SECONDS,
        )
        work.remember(froze=False)
        kinds = Generation.Consistency
        yield Opened(
            exports={disk.target: Export(socket, disk.target) for disk in facts.disks},
            taken_at=began,
            consistency=kinds.QUIESCED if answer["quiesced"] else kinds.CRASH,
            note=answer["why_not"],
            watch=place,
            floor=floor,
        )
    finally:
        close_pull(hypervisor, images, facts.uuid, work.job.state_data)
        work.remember(closed=True)


def close_pull(hypervisor: Hypervisor, images: ImageHost, uuid: str, left: dict[str, Any]) -> None:
    """Thaw if it may be frozen, end our backup job, remove our files: also for a settling.

    Every step is tried; the first that could not be is raised at the end.
    """
    troubles: list[AdapterError] = []

    def attempt(verb: str, **more: Any) -> None:
        try:
            hypervisor.call(verb, deadline=30, uuid=uuid, **more)
        except AdapterError as error:
            troubles.append(error)

    if left.get("froze"):
        attempt("thaw")
    if left.get("socket"):
        attempt("abort_backup", socket=left["socket"])
        if not troubles:
            images.remove([left["socket"], *left["scratch"]])
    if troubles:
        raise troubles[0]


def _scratch_room(hypervisor: Hypervisor, images: ImageHost, facts: Facts) -> tuple[str, int]:
    """The folder for scratch files, beside an image of the VM since QEMU can reach that under any
    user and AppArmor profile, and the floor of its free bytes."""
    places = {str(PurePosixPath(disk.source).parent) for disk in facts.disks if disk.kind == "file"}
    rooms = [images.room(place) for place in sorted(places) or [_FALLBACK]]
    best = max(rooms, key=lambda room: int(room["available_bytes"]))
    virtual = sum(facts.sized(hypervisor, images).values())
    available, size = int(best["available_bytes"]), int(best["size_bytes"])
    if not scratch.enough(available, size, virtual):
        raise Failed(
            f"{best['path']} has too little room ({available >> 20} MiB free) for what "
            f"{facts.name} overwrites while it is backed up; make room there, or shut it down."
        )
    return str(best["path"]), scratch.floor(size)


@contextlib.contextmanager
def _served(hypervisor: Hypervisor, images: ImageHost, facts: Facts) -> Iterator[Opened]:
    files = [disk.source for disk in facts.disks if disk.kind == "file"]
    before = images.stamps(files)
    exports = {
        disk.target: Export(
            images.serve(disk.target, disk.source, disk.format, writable=False), disk.target
        )
        for disk in facts.disks
    }
    yield Opened(
        exports=exports,
        taken_at=datetime.now(UTC),
        consistency=Generation.Consistency.OFF,
        note="",
        watch="",
        floor=0,
    )
    still_off(hypervisor, facts)
    if images.stamps(files) != before:
        raise Failed(f"{facts.name} was written to while it was copied; back it up again.")


def still_off(hypervisor: Hypervisor, facts: Facts) -> None:
    """A VM that was started in the middle of a copy wins; the copy is worth nothing."""
    now = hypervisor.call("state", deadline=_SHORT, uuid=facts.uuid)
    if now["id"] != -1:
        raise Failed(f"{facts.name} was started while it was copied; back it up again.")

"""What would be lost if a host died now, per VM, from coverage and from measured speeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from backups.rules.copies.trust import is_ahead
from backups.rules.coverage.coverage import DiskCopy
from backups.rules.coverage.exposure import (
    DiskLoss,
    Loss,
    Speed,
    Standing,
    all_back,
    loss_of,
    worst_first,
)
from backups.selectors.copies.stored import Stored, stored_bytes
from backups.selectors.coverage.coverage import CoverageRow, coverage
from backups.selectors.stores.speeds import speeds
from hosts.models import Host


class LostCopyJson(TypedDict):
    generation: str
    store: str
    taken_at: str


class DiskLossJson(TypedDict):
    """What of a disk would be lost: everything, or what was written in so many minutes."""

    disk: str
    everything: bool
    minutes: int | None
    bytes: int | None
    newest: LostCopyJson | None


class BackJson(TypedDict):
    """How long getting back takes; `seconds` is null where no speed was measured."""

    bytes: int
    seconds: int | None
    measured_from: list[str]
    why: str


class LossJson(TypedDict):
    """What a VM would lose, and how long getting it back takes."""

    vm: str
    vm_uuid: str
    level: str
    loses: str
    left_out: list[str]
    disks: list[DiskLossJson]
    back: BackJson | None


class DeathJson(TypedDict):
    """What would be lost if the host died now."""

    host: str
    back_seconds: int | None
    vms: list[LossJson]


@dataclass(frozen=True, slots=True)
class Death:
    """Of one host: its VMs with what each would lose, worst first."""

    host: str
    losses: list[Loss]
    uuids: Mapping[str, UUID]

    @property
    def back_words(self) -> str:
        """ "back in about 4 min"; empty where nothing could be brought back."""
        whole = all_back(self.losses)
        if whole is None:
            return ""
        if whole.seconds is None:
            return f"time to get back: {whole.words}"
        part = any(disk.everything for loss in self.losses for disk in loss.disks)
        return f"what is kept is back in {whole.words}" if part else f"back in {whole.words}"

    def as_json(self) -> DeathJson:
        whole = all_back(self.losses)
        return {
            "host": self.host,
            "back_seconds": _whole(whole.seconds) if whole else None,
            "vms": [_loss_json(loss, self.uuids[loss.vm]) for loss in self.losses],
        }


def exposure(now: datetime, host: Host | None = None) -> list[Death]:
    """If each host (or one) died now; a constant number of queries."""
    hosts = [host] if host else list(Host.objects.all())
    return deaths(hosts, coverage(now, host=host), speeds(), now)


def deaths(
    hosts: Iterable[Host], rows: Sequence[CoverageRow], speed: Mapping[str, Speed], now: datetime
) -> list[Death]:
    """The same from rows that were read already; hosts in the order given."""
    of_host: dict[str, list[CoverageRow]] = {}
    for row in rows:
        of_host.setdefault(row.host, []).append(row)
    stored = stored_bytes({row.newest.generation for row in rows if row.newest})
    return [_death(host.name, of_host.get(host.name, []), speed, stored, now) for host in hosts]


def _death(
    host: str,
    rows: Sequence[CoverageRow],
    speed: Mapping[str, Speed],
    stored: Stored,
    now: datetime,
) -> Death:
    of_vm: dict[UUID, list[CoverageRow]] = {}
    for row in rows:
        of_vm.setdefault(row.vm_uuid, []).append(row)
    found = [
        loss_of(disks[0].vm, [_standing(row, stored, now) for row in disks], speed, now)
        for disks in of_vm.values()
    ]
    losses = worst_first([loss for loss in found if loss])
    return Death(host, losses, {row.vm: row.vm_uuid for row in rows})


def _standing(row: CoverageRow, stored: Stored, now: datetime) -> Standing:
    capacity = row.capacity_bytes or 0
    copy = row.newest
    survives = copy is not None and copy.off_host and not copy.wrong
    if copy is not None and is_ahead(copy.taken_at, now):
        survives = False  # how old it is, and so what it lacks, is unknown
    used = capacity if row.allocation_bytes is None else row.allocation_bytes
    if copy is None or not survives:
        return Standing(row.disk, row.level, used, None)
    return Standing(
        row.disk, row.level, used, copy, stored.get((copy.generation, row.disk), capacity)
    )


def _loss_json(loss: Loss, uuid: UUID) -> LossJson:
    back = loss.back
    return {
        "vm": loss.vm,
        "vm_uuid": str(uuid),
        "level": loss.level,
        "loses": loss.words,
        "left_out": loss.left_out,
        "disks": [_disk_json(disk) for disk in loss.disks],
        "back": None
        if back is None
        else {
            "bytes": back.bytes,
            "seconds": _whole(back.seconds),
            "measured_from": sorted({speed.source for speed in back.speeds}),
            "why": back.why,
        },
    }


def _disk_json(disk: DiskLoss) -> DiskLossJson:
    return {
        "disk": disk.disk,
        "everything": disk.everything,
        "minutes": None if disk.seconds is None else round(disk.seconds / 60),
        "bytes": disk.bytes,
        "newest": _copy_json(disk.copy),
    }


def _copy_json(copy: DiskCopy | None) -> LostCopyJson | None:
    if copy is None:
        return None
    return {
        "generation": copy.generation,
        "store": copy.store,
        "taken_at": copy.taken_at.isoformat(),
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)

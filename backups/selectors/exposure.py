"""What would be lost if a host died now, per VM, from coverage and from measured speeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from backups.rules.coverage import Kept
from backups.rules.exposure import DiskLoss, Loss, Speed, Standing, all_back, loss_of, worst_first
from backups.selectors.coverage import CoverageRow, coverage
from backups.selectors.speeds import speeds
from hosts.models import Host


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

    def as_json(self) -> dict[str, Any]:
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
    return [_death(host.name, of_host.get(host.name, []), speed, now) for host in hosts]


def _death(
    host: str, rows: Sequence[CoverageRow], speed: Mapping[str, Speed], now: datetime
) -> Death:
    of_vm: dict[UUID, list[CoverageRow]] = {}
    for row in rows:
        of_vm.setdefault(row.vm_uuid, []).append(row)
    found = [
        loss_of(disks[0].vm, [_standing(row) for row in disks], speed, now)
        for disks in of_vm.values()
    ]
    losses = worst_first([loss for loss in found if loss])
    return Death(host, losses, {row.vm: row.vm_uuid for row in rows})


def _standing(row: CoverageRow) -> Standing:
    capacity = row.capacity_bytes or 0
    copy = row.newest
    survives = copy is not None and copy.off_host and not copy.wrong
    used = capacity if row.allocation_bytes is None else row.allocation_bytes
    return Standing(row.disk, row.level, capacity, used, copy if survives else None)


def _loss_json(loss: Loss, uuid: UUID) -> dict[str, Any]:
    back = loss.back
    return {
        "vm": loss.vm,
        "vm_uuid": str(uuid),
        "level": loss.level,
        "loses": loss.words,
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


def _disk_json(disk: DiskLoss) -> dict[str, Any]:
    return {
        "disk": disk.disk,
        "everything": disk.everything,
        "minutes": None if disk.seconds is None else round(disk.seconds / 60),
        "bytes": disk.bytes,
        "newest": _copy_json(disk.copy),
    }


def _copy_json(copy: Kept | None) -> dict[str, str] | None:
    if copy is None:
        return None
    return {
        "generation": copy.generation,
        "store": copy.store,
        "taken_at": copy.taken_at.isoformat(),
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)

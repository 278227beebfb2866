"""Coverage of every virtual disk that holds data, from the live disks, worst first."""

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, Prefetch, Window
from django.db.models.functions import RowNumber

from backups.models import Exclusion, Generation, GenerationDisk, Store
from backups.rules.coverage import LEVELS, ORDER, Covered, Kept, judge
from backups.selectors.drives import keys_below
from hosts.models import VM, Host, VirtualDisk
from hosts.rules.presence import presence


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """One virtual disk. `as_json` is design.md's shape; the rest is for the pages."""

    vm: str
    vm_uuid: uuid.UUID
    host: str
    disk: str
    source: str
    capacity_bytes: int | None
    verdict: str
    level: str
    reason: str
    newest: Kept | None

    def as_json(self) -> dict[str, Any]:
        newest = self.newest
        return {
            "vm": self.vm,
            "vm_uuid": str(self.vm_uuid),
            "host": self.host,
            "disk": self.disk,
            "verdict": self.verdict,
            "reason": self.reason,
            "newest": None
            if newest is None
            else {
                "generation": newest.generation,
                "store": newest.store,
                "taken_at": newest.taken_at.isoformat(),
                "off_host": newest.off_host,
                "verified_at": _iso(newest.verified_at),
                "rehearsed_at": _iso(newest.rehearsed_at),
            },
        }


def coverage(now: datetime, vm: VM | None = None, host: Host | None = None) -> list[CoverageRow]:
    """A row for each disk, of all VMs, of one, or of a host's; a constant number of queries."""
    disks = _disks(vm, host)
    kept = _kept({disk.vm.uuid for disk in disks}, narrow=vm is not None or host is not None)
    rows = [_row(disk, kept[(disk.vm.uuid, disk.target)], now) for disk in disks]
    return sorted(rows, key=lambda row: (ORDER.index(row.verdict), row.vm, row.disk))


def summary(rows: list[CoverageRow]) -> dict[str, int]:
    """How many disks have each level: `{"bad": 2, "watch": 0, "unknown": 0, "good": 5}`."""
    count = dict.fromkeys(("bad", "watch", "unknown", "good"), 0)
    for row in rows:
        count[LEVELS[row.verdict]] += 1
    return count


def _disks(vm: VM | None, host: Host | None) -> list[VirtualDisk]:
    wanted = VirtualDisk.objects.filter(missing_since=None, vm__missing_since=None)
    if vm is not None:
        wanted = wanted.filter(vm=vm)
    if host is not None:
        wanted = wanted.filter(vm__host=host)
    found = (
        wanted.select_related("vm__host", "file_system")
        .defer("vm__xml", "vm__inactive_xml")
        .prefetch_related(
            "file_system__drives", Prefetch("vm__exclusions", Exclusion.objects.order_by("pk"))
        )
        .order_by("vm__name", "target")
    )
    return [disk for disk in found if disk.holds_data]


Place = tuple[uuid.UUID, str]
Held = tuple[Generation, GenerationDisk]


def _kept(uuids: set[uuid.UUID], *, narrow: bool) -> dict[Place, list[Held]]:
    """Generations of each (VM, target): of those alike in all that a verdict asks (image, store,
    state) the newest only. A year of nightly backups would be read for one line otherwise."""
    wanted = GenerationDisk.objects.exclude(generation__state=Generation.State.MISSING)
    if narrow:
        wanted = wanted.filter(generation__vm_uuid__in=uuids)
    generation = ("vm_uuid", "source_host", "store", "state")
    alike = ("target", "source", *(f"generation__{name}" for name in generation))
    newest_first = F("generation__taken_at").desc()
    place = Window(RowNumber(), partition_by=[F(name) for name in alike], order_by=newest_first)
    newest = wanted.annotate(place=place).filter(place=1).order_by().values("pk")
    read = GenerationDisk.objects.filter(pk__in=newest).order_by()
    found: dict[Place, list[Held]] = defaultdict(list)
    for disk in read.select_related("generation__store__host").defer("generation__manifest"):
        if disk.generation.vm_uuid in uuids:
            found[(disk.generation.vm_uuid, disk.target)].append((disk.generation, disk))
    return found


def _row(disk: VirtualDisk, held: list[Held], now: datetime) -> CoverageRow:
    verdict = _verdict(disk, held, now)
    return CoverageRow(
        vm=disk.vm.name,
        vm_uuid=disk.vm.uuid,
        host=disk.vm.host.name,
        disk=disk.target,
        source=disk.source,
        capacity_bytes=disk.capacity_bytes,
        verdict=verdict.verdict,
        level=verdict.level,
        reason=verdict.reason,
        newest=verdict.newest,
    )


def _verdict(disk: VirtualDisk, held: list[Held], now: datetime) -> Covered:
    host = disk.vm.host
    seen = presence(host.seen_at, host.failing_since, host.error, now)
    unknown = "" if seen.state == "up" else f"{host.name} does not answer: {seen.reason}"
    return judge(
        [_one(disk, generation) for generation, old in held if _same_disk(disk, old)],
        now=now,
        excluded=_excluded(disk, now),
        unknown=unknown,
    )


def _same_disk(disk: VirtualDisk, old: GenerationDisk) -> bool:
    """Whether a backup of this target is one of this disk: the same image or one below it, or
    the VM was on another host then. Another image under an old target has no backup."""
    if old.source in {disk.source, *disk.backing_chain}:
        return True
    moved = old.generation.source_host != disk.vm.host.name
    return moved and disk.first_seen_at <= old.generation.taken_at


def _one(disk: VirtualDisk, generation: Generation) -> Kept:
    store = generation.store
    same_drive = _same_drive(disk, store)
    damaged = generation.state == Generation.State.DAMAGED
    return Kept(
        generation=generation.key,
        store=store.name,
        taken_at=generation.taken_at,
        off_host=not same_drive and not _same_machine(disk, store),
        same_drive=same_drive,
        damage=(generation.damage.rstrip(".") or "damaged") if damaged else "",
        verified_at=generation.verified_at,
        rehearsed_at=generation.rehearsed_at,
    )


def _same_machine(disk: VirtualDisk, store: Store) -> bool:
    host = disk.vm.host
    return store.endpoint().target == host.target


def _same_drive(disk: VirtualDisk, store: Store) -> bool:
    if disk.file_system is None:
        return False
    return bool(keys_below(disk.file_system) & set(store.drives))


def _excluded(disk: VirtualDisk, now: datetime) -> str:
    for exclusion in disk.vm.exclusions.all():
        if exclusion.target == disk.target and (exclusion.until is None or exclusion.until > now):
            until = f" until {exclusion.until:%Y-%m-%d}" if exclusion.until else ""
            return f"{exclusion.by} took it out{until}: {exclusion.reason}"
    return ""


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

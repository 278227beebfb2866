"""Coverage of every virtual disk that holds data, from the live disks, worst first."""

import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Prefetch,
    Q,
    When,
    Window,
)
from django.db.models.functions import RowNumber

from backups.models import Exclusion, Generation, GenerationDisk, Rehearsal, Store
from backups.rules.coverage import AHEAD, LEVEL_ORDER, ORDER, Covered, Kept, Limits, judge
from backups.rules.faults import from_json, text
from backups.selectors.drives import keys_below
from backups.selectors.exclusions import speaks_of
from backups.selectors.limits import limits_of
from hosts.models import VM, Host, VirtualDisk
from hosts.rules.presence import presence
from labpanel.lib.durations import ago
from labpanel.lib.hints import DEEP

# Stores are looked at every two minutes: one that missed two looks is silent.
SILENT_AFTER = timedelta(minutes=5)


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
    limits: Limits = field(default_factory=Limits)
    allocation_bytes: int | None = None
    rehearsed: Kept | None = None
    excluded_until: datetime | None = None
    known_since: datetime | None = None
    mild: bool = False

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
    uuids, narrow = {disk.vm.uuid for disk in disks}, vm is not None or host is not None
    kept, deep = _kept(uuids, now, narrow=narrow), _deep(uuids, narrow=narrow)
    failures = _failures(narrow=uuids if narrow else None)
    limits = limits_of({disk.vm for disk in disks})
    rows = []
    for disk in disks:
        place = (disk.vm.uuid, disk.target)
        found = _Found(kept[place], deep.get(place), limits[disk.vm.pk], failures)
        rows.append(_row(disk, found, now))
    return sorted(rows, key=_worst_first)


def _worst_first(row: CoverageRow) -> tuple[int, int, str, str]:
    return LEVEL_ORDER.index(row.level), ORDER.index(row.verdict), row.vm, row.disk


def summary(rows: list[CoverageRow]) -> dict[str, int]:
    """How many disks have each level: `{"bad": 2, "unknown": 0, "watch": 0, "good": 5, …}`."""
    count = dict.fromkeys(LEVEL_ORDER, 0)
    for row in rows:
        count[row.level] += 1
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


@dataclass(frozen=True, slots=True)
class _Found:
    """What is kept of one disk, its last deep run, and what its policy asks for."""

    held: list[Held]
    deep: GenerationDisk | None
    limits: Limits
    failures: Mapping[int, Rehearsal]


def _kept(uuids: set[uuid.UUID], now: datetime, *, narrow: bool) -> dict[Place, list[Held]]:
    """Generations of each (VM, target): of those alike in all that a verdict asks (image, store,
    state, gaps, read back or not, dated ahead or not) the newest only, and the few that were ever
    booted. A year of nightly backups would be read for one line otherwise. Of those that were read
    back the newest speaks alone: was it read back long ago and an older one lately, the verdict is
    stricter."""
    wanted = GenerationDisk.objects.exclude(generation__state=Generation.State.MISSING)
    if narrow:
        wanted = wanted.filter(generation__vm_uuid__in=uuids)
    order = F("generation__taken_at").desc()
    place = Window(RowNumber(), partition_by=[F(alike) for alike in _ALIKE], order_by=order)
    tried = Exists(Rehearsal.objects.filter(generation=OuterRef("generation")))
    first = Q(place=1) | Q(generation__rehearsed_at__isnull=False) | Q(tried)
    ahead = ExpressionWrapper(Q(generation__taken_at__gt=now + AHEAD), output_field=BooleanField())
    newest = (
        wanted.annotate(**_FLAGS, ahead=ahead)
        .annotate(place=place)
        .filter(first)
        .order_by()
        .values("pk")
    )
    read = GenerationDisk.objects.filter(pk__in=newest).order_by()
    found: dict[Place, list[Held]] = defaultdict(list)
    for disk in read.select_related("generation__store__host").defer("generation__manifest"):
        if disk.generation.vm_uuid in uuids:
            found[(disk.generation.vm_uuid, disk.target)].append((disk.generation, disk))
    return found


_FLAGS = {
    "whole": Case(When(unreadable=[], then=True), default=False, output_field=BooleanField()),
    "read": ExpressionWrapper(Q(generation__verified_at=None), output_field=BooleanField()),
}
_GENERATION = ("vm_uuid", "source_host", "store", "state")
_ALIKE = (
    "target",
    "source",
    "whole",
    "read",
    "ahead",
    *(f"generation__{name}" for name in _GENERATION),
)


def _failures(*, narrow: set[uuid.UUID] | None) -> dict[int, Rehearsal]:
    """Of each generation the last boot, where something in it was found to be wrong. One that
    could not be judged proves nothing, in either direction."""
    wanted = Rehearsal.objects.order_by("began_at").defer("screenshot", "thumbnail")
    if narrow is not None:
        wanted = wanted.filter(generation__vm_uuid__in=narrow)
    last = {each.generation_id: each for each in wanted}
    return {pk: each for pk, each in last.items() if _went_wrong(each)}


def _went_wrong(rehearsal: Rehearsal) -> bool:
    return not rehearsal.passed and any(check["passed"] is False for check in rehearsal.checks)


def _deep(uuids: set[uuid.UUID], *, narrow: bool) -> dict[Place, GenerationDisk]:
    """The newest deep run of each (VM, target): what it found missed stands until the next one."""
    wanted = GenerationDisk.objects.filter(mode=DEEP)
    if narrow:
        wanted = wanted.filter(generation__vm_uuid__in=uuids)
    oldest_first = wanted.select_related("generation").order_by("generation__taken_at")
    read = oldest_first.defer("generation__manifest")
    return {(disk.generation.vm_uuid, disk.target): disk for disk in read}


def _row(disk: VirtualDisk, found: _Found, now: datetime) -> CoverageRow:
    exclusion = next((e for e in disk.vm.exclusions.all() if _names(e, disk)), None)
    verdict = _verdict(disk, found, exclusion, now)
    return CoverageRow(
        vm=disk.vm.name,
        vm_uuid=disk.vm.uuid,
        host=disk.vm.host.name,
        disk=disk.target,
        source=disk.source,
        capacity_bytes=disk.capacity_bytes,
        verdict=verdict.verdict,
        level=verdict.level,
        reason=verdict.reason + _lapsed(exclusion, now),
        newest=verdict.newest,
        limits=found.limits,
        allocation_bytes=disk.allocation_bytes,
        rehearsed=verdict.rehearsed,
        excluded_until=exclusion.until if exclusion else None,
        known_since=disk.first_seen_at,
        mild=verdict.mild,
    )


def _verdict(
    disk: VirtualDisk, found: _Found, exclusion: Exclusion | None, now: datetime
) -> Covered:
    host = disk.vm.host
    seen = presence(host.seen_at, host.failing_since, host.error, now)
    unknown = "" if seen.state == "up" else seen.reason
    deep = found.deep if found.deep and _same_disk(disk, found.deep) else None
    return judge(
        [
            _one(disk, each, old, now, found.failures)
            for each, old in found.held
            if _same_disk(disk, old)
        ],
        now=now,
        limits=found.limits,
        excluded=_excluded(exclusion, now),
        unknown=unknown,
        missed=deep.missed if deep else (),
    )


def _same_disk(disk: VirtualDisk, old: GenerationDisk) -> bool:
    """Whether a backup of this target is one of this disk: the same image or one below it, or
    the VM was on another host then. Another image under an old target has no backup."""
    if old.source in {disk.source, *disk.backing_chain}:
        return True
    moved = old.generation.source_host != disk.vm.host.name
    return moved and disk.first_seen_at <= old.generation.taken_at


def _one(
    disk: VirtualDisk,
    generation: Generation,
    old: GenerationDisk,
    now: datetime,
    failures: Mapping[int, Rehearsal] = MappingProxyType({}),
) -> Kept:
    store = generation.store
    same_drive = _same_drive(disk, store)
    failed = failures.get(generation.pk)
    return Kept(
        generation=generation.key,
        store=store.name,
        taken_at=generation.taken_at,
        off_host=not same_drive and not _same_machine(disk, store),
        same_drive=same_drive,
        damage=_damage(generation, disk.target),
        verified_at=generation.verified_at,
        rehearsed_at=generation.rehearsed_at,
        unreadable=tuple((first, after) for first, after in old.unreadable),
        failed_at=failed.ended_at if failed else None,
        failure=failed.sentence if failed else "",
        silent=_silent(store, now),
    )


def _silent(store: Store, now: datetime) -> str:
    """Why what lies there is not known any more; empty while it can be read. One that is mounted
    read-only has an error too, and is looked at all the same."""
    looked = store.looked_at or store.added_at
    return store.error if store.error and now - looked > SILENT_AFTER else ""


def _damage(generation: Generation, target: str) -> str:
    """What is wrong with this disk in it; empty also where only its other disks are damaged."""
    if generation.state != Generation.State.DAMAGED:
        return ""
    faults = [from_json(entry) for entry in generation.faults]
    touching = [fault for fault in faults if fault.disk in {"", target}]
    if faults and not touching:
        return ""
    return text(touching, generation.key) or generation.damage.rstrip(".") or "damaged"


def _same_machine(disk: VirtualDisk, store: Store) -> bool:
    host = disk.vm.host
    return store.endpoint().target == host.target


def _same_drive(disk: VirtualDisk, store: Store) -> bool:
    if disk.file_system is None:
        return False
    return bool(keys_below(disk.file_system) & set(store.drives))


def _names(exclusion: Exclusion, disk: VirtualDisk) -> bool:
    return exclusion.target == disk.target and speaks_of(exclusion, disk.first_seen_at)


def _excluded(exclusion: Exclusion | None, now: datetime) -> str:
    if exclusion is None or not _lasts(exclusion, now):
        return ""
    until = f" until {exclusion.until:%Y-%m-%d}" if exclusion.until else ""
    return f"{exclusion.by} took it out{until}: {exclusion.reason}"


def _lapsed(exclusion: Exclusion | None, now: datetime) -> str:
    """That an exclusion has ended: the disk is in again without anybody having asked today."""
    if exclusion is None or _lasts(exclusion, now):
        return ""
    ended = ago(exclusion.until, now)
    return f" {exclusion.by} had taken it out ({exclusion.reason}); that ended {ended}."


def _lasts(exclusion: Exclusion, now: datetime) -> bool:
    return exclusion.until is None or exclusion.until > now


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

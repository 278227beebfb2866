"""Coverage of every virtual disk that holds data, from the live disks, worst first."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TypedDict

from django.db.models import Prefetch

from backups.models import Exclusion, Generation, GenerationDisk, Rehearsal, Store
from backups.rules.backup import fit
from backups.rules.backup.left_out import sentences
from backups.rules.copies.faults import from_json, text
from backups.rules.copies.trust import DISTRUSTED
from backups.rules.coverage.coverage import (
    LEVEL_ORDER,
    ORDER,
    Covered,
    DiskCopy,
    Limits,
    judge,
    one_of_each_store,
)
from backups.selectors.copies.left_out import left_out_of
from backups.selectors.coverage.kept import Place, copies_kept
from backups.selectors.coverage.same_disk import Held, of_this_disk
from backups.selectors.policies.exclusions import lasts, speaks_of
from backups.selectors.policies.limits import limits_of
from backups.selectors.stores.drives import keys_below
from backups.selectors.stores.silence import silence_of
from hosts.models import VM, Host, VirtualDisk
from hosts.rules.health.presence import presence
from hosts.selectors.findings import suspect_since
from hosts.selectors.machines import same_machine
from labpanel.lib.disks import SourceDisk
from labpanel.lib.durations import ago
from labpanel.lib.hints import DEEP


class NewestJson(TypedDict):
    generation: str
    store: str
    taken_at: str
    off_host: bool
    verified_at: str | None
    rehearsed_at: str | None


class CoveredCopyJson(TypedDict):
    generation: str
    store: str
    taken_at: str
    silent: str


class CoverageJson(TypedDict):
    """A virtual disk: whether it is safe, why, and its copies."""

    vm: str
    vm_uuid: str
    host: str
    disk: str
    verdict: str
    reason: str
    left_out: list[str]
    newest: NewestJson | None
    copies: list[CoveredCopyJson]


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """One virtual disk. `as_json` is for API and command line; the rest is for the pages. `copies`
    are the newest whole one in each store, whatever the verdict: also of a host that is away, and
    `away` is why it is. `suspect` is since when what the disk reads is not to be believed."""

    vm: str
    vm_uuid: uuid.UUID
    host: str
    disk: str
    source: str
    capacity_bytes: int | None
    verdict: str
    level: str
    reason: str
    newest: DiskCopy | None
    limits: Limits = field(default_factory=Limits)
    allocation_bytes: int | None = None
    rehearsed: DiskCopy | None = None
    excluded_until: datetime | None = None
    known_since: datetime | None = None
    mild: bool = False
    copies: tuple[DiskCopy, ...] = ()
    away: str = ""
    suspect: datetime | None = None

    @property
    def others(self) -> tuple[DiskCopy, ...]:
        """The newest copy in each other store than that of the one which speaks for the disk."""
        return tuple(
            one for one in self.copies if not self.newest or one.store != self.newest.store
        )

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the VM has, and the copy that speaks for this disk has not."""
        return self.newest.left_out if self.newest else ()

    def as_json(self) -> CoverageJson:
        newest = self.newest
        return {
            "vm": self.vm,
            "vm_uuid": str(self.vm_uuid),
            "host": self.host,
            "disk": self.disk,
            "verdict": self.verdict,
            "reason": self.reason,
            "left_out": list(self.left_out),
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
            "copies": [
                {
                    "generation": one.generation,
                    "store": one.store,
                    "taken_at": one.taken_at.isoformat(),
                    "silent": one.silent,
                }
                for one in self.copies
            ],
        }


def coverage(now: datetime, vm: VM | None = None, host: Host | None = None) -> list[CoverageRow]:
    """A row for each disk, of all VMs, of one, or of a host's; a constant number of queries."""
    disks = _disks(vm, host)
    uuids, narrow = {disk.vm.uuid for disk in disks}, vm is not None or host is not None
    suspect = suspect_since()
    kept, deep = copies_kept(uuids if narrow else None, now, suspect), _deep(uuids, narrow=narrow)
    failures = _failures(narrow=uuids if narrow else None)
    limits = limits_of({disk.vm for disk in disks})
    rows = []
    for disk in disks:
        place = (disk.vm.uuid, disk.target)
        since = suspect.get(disk.vm.uuid)
        found = _Found(kept[place], deep.get(place), limits[disk.vm.pk], failures, since)
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


@dataclass(frozen=True, slots=True)
class _Found:
    """What is kept of one disk, its last deep run, what its policy asks for, and since when the
    disk is suspect, if it is."""

    held: list[Held]
    deep: GenerationDisk | None
    limits: Limits
    failures: Mapping[int, Rehearsal]
    suspect: datetime | None = None


def _failures(*, narrow: set[uuid.UUID] | None) -> dict[int, Rehearsal]:
    """Of each generation the last boot that it did not pass. One in which nothing was found to be
    wrong proves nothing, in either direction; what it showed is said."""
    wanted = Rehearsal.objects.order_by("began_at").defer("screenshot", "thumbnail")
    if narrow is not None:
        wanted = wanted.filter(generation__vm_uuid__in=narrow)
    last = {each.generation_id: each for each in wanted}
    return {pk: each for pk, each in last.items() if not each.passed}


def _went_wrong(rehearsal: Rehearsal) -> bool:
    return any(check["passed"] is False for check in rehearsal.checks)


def _deep(uuids: set[uuid.UUID], *, narrow: bool) -> dict[Place, GenerationDisk]:
    """The newest deep run of each (VM, target): what it found missed stands until the next one."""
    wanted = GenerationDisk.objects.filter(mode=DEEP).exclude(generation__trust__in=DISTRUSTED)
    if narrow:
        wanted = wanted.filter(generation__vm_uuid__in=uuids)
    oldest_first = wanted.select_related("generation").order_by("generation__taken_at")
    read = oldest_first.defer("generation__manifest")
    return {(disk.generation.vm_uuid, disk.target): disk for disk in read}


def _row(disk: VirtualDisk, found: _Found, now: datetime) -> CoverageRow:
    exclusion = next((e for e in disk.vm.exclusions.all() if _names(e, disk)), None)
    kept, deep = _own(disk, found, now)
    away = _away(disk.vm.host, now)
    verdict = _verdict(disk, found, (kept, deep), exclusion, away, now)
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
        copies=one_of_each_store(kept),
        away=away,
        suspect=found.suspect,
    )


Own = tuple[list[DiskCopy], GenerationDisk | None]


def _own(disk: VirtualDisk, found: _Found, now: datetime) -> Own:
    """Of what is kept under its target what is of this disk, and its last deep run."""
    looked = [(found.deep.generation, found.deep)] if found.deep else []
    own = of_this_disk(disk, [*looked, *found.held])
    kept = [_one(disk, *held, now, found.failures) for held in found.held if held in own]
    return kept, found.deep if looked and looked[0] in own else None


def _away(host: Host, now: datetime) -> str:
    """Why its word is not to be had; empty where it answers."""
    seen = presence(host.seen_at, host.failing_since, host.error, now)
    return "" if seen.state == "up" else seen.reason


def _verdict(
    disk: VirtualDisk,
    found: _Found,
    own: Own,
    exclusion: Exclusion | None,
    away: str,
    now: datetime,
) -> Covered:
    kept, deep = own
    return judge(
        kept,
        now=now,
        limits=found.limits,
        excluded=_excluded(exclusion, now),
        unknown=away,
        missed=deep.missed if deep else (),
        cannot=" ".join(fit.of_disk(disk.vm.name, _as_source(disk))),
        suspect=found.suspect,
    )


def _as_source(disk: VirtualDisk) -> SourceDisk:
    """As a backup would find it, by the inventory."""
    return SourceDisk(
        target=disk.target,
        device=disk.device,
        kind=disk.kind,
        source=disk.source,
        format=disk.format or "raw",
        shareable=disk.shareable,
        transient=disk.transient,
        encrypted=disk.encrypted,
        sliced=disk.sliced,
    )


def _one(
    disk: VirtualDisk,
    generation: Generation,
    old: GenerationDisk,
    now: datetime,
    failures: Mapping[int, Rehearsal] = MappingProxyType({}),
) -> DiskCopy:
    store = generation.store
    same_drive = _same_drive(disk, store)
    last = failures.get(generation.pk)
    failed = last if last and _went_wrong(last) else None
    return DiskCopy(
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
        shown=last.sentence if last and not failed else "",
        left_out=tuple(sentences(left_out_of(generation) or ())),
        silent=silence_of(store, now),
    )


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
    return same_machine(disk.vm.host, store.host)


def _same_drive(disk: VirtualDisk, store: Store) -> bool:
    if disk.file_system is None:
        return False
    return bool(keys_below(disk.file_system) & set(store.drives))


def _names(exclusion: Exclusion, disk: VirtualDisk) -> bool:
    return exclusion.target == disk.target and speaks_of(exclusion, disk.first_seen_at)


def _excluded(exclusion: Exclusion | None, now: datetime) -> str:
    if exclusion is None or not lasts(exclusion, now):
        return ""
    until = f" until {exclusion.until:%Y-%m-%d}" if exclusion.until else ""
    return f"{exclusion.by} took it out{until}: {exclusion.reason}"


def _lapsed(exclusion: Exclusion | None, now: datetime) -> str:
    """That an exclusion has ended: the disk is in again without anybody having asked today."""
    if exclusion is None or lasts(exclusion, now):
        return ""
    ended = ago(exclusion.until, now)
    return f" {exclusion.by} had taken it out ({exclusion.reason}); that ended {ended}."


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

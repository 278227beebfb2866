"""The copies of one VM over time: how each was made, how far it is proven, what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from django.utils import timezone

from backups.models import Generation
from backups.rules.copies.retention import DROPPED, KEPT, CopyFate
from backups.rules.copies.trust import doubt
from hosts.models import VM
from labpanel.lib.hints import BITMAP, DEEP, FULL, READ, UNCHANGED
from labpanel.lib.units import count, size

# How a disk was saved, in plain words.
WAYS = {
    FULL: "in full",
    READ: "all read, what differed kept",
    BITMAP: "what QEMU said had changed",
    UNCHANGED: "nothing had changed",
    DEEP: "all read to check QEMU's word",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One generation. `fate` says that it will go, or why its owner wants it to stay; `stays` why
    the policy keeps it."""

    generation: Generation
    way: str
    bytes: int
    disks: str
    trouble: str
    fate: str = ""
    stays: str = ""

    @property
    def day(self) -> date:
        return timezone.localdate(self.generation.taken_at)


def moments(
    vm: VM, limit: int | None = None, fates: Mapping[str, CopyFate] | None = None
) -> list[Moment]:
    """Newest first; three queries. `fates` are verdicts of retention, by key, to be shown."""
    found = Generation.objects.filter(vm_uuid=vm.uuid).select_related("store__host")
    wanted = found.defer("manifest").prefetch_related("disks")
    known = fates or {}
    return [_moment(each, known.get(each.key)) for each in (wanted[:limit] if limit else wanted)]


def _moment(generation: Generation, verdict: CopyFate | None) -> Moment:
    disks = list(generation.disks.all())
    modes = list(dict.fromkeys(disk.mode for disk in disks))
    return Moment(
        generation=generation,
        way="; ".join(WAYS.get(mode, mode) for mode in modes),
        bytes=sum(disk.written_bytes for disk in disks),
        disks=", ".join(disk.target for disk in disks),
        trouble=_trouble(generation),
        fate=_fate(generation, verdict),
        stays=verdict.reason if verdict is not None and verdict.fate == KEPT else "",
    )


def _trouble(generation: Generation) -> str:
    """What is wrong with it, in words; empty if nothing is."""
    if generation.state != Generation.State.COMPLETE:
        return generation.damage or generation.state
    doubted = doubt(generation.trust, generation.taken_at, timezone.now())
    told = [f"It {doubted}, and counts for nothing."] if doubted else []
    for disk in generation.disks.all():
        for ranges, what in (
            (disk.unreadable, "its source could not read"),
            (disk.missed, "QEMU's bitmap had missed"),
        ):
            if ranges:
                total = sum(after - first for first, after in ranges)
                told.append(f"{disk.target}: {what} {count(len(ranges), 'place')} ({size(total)})")
    return "; ".join(told)


def _fate(generation: Generation, verdict: CopyFate | None) -> str:
    """What stands out: that it goes, or that its owner wants it to stay."""
    if verdict is not None and verdict.fate == DROPPED:
        return "would go next"
    if generation.protected_because:
        return f"protected: {generation.protected_because}"
    return ""

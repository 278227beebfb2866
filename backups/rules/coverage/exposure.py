"""What the death of a host would take of a VM, and how long getting it back takes. Pure.

A time is said only where speeds were measured: from restores out of that store, else from
reading its generations back, else from full backups into it. Which it was is said with it. Bytes
are those that lie in the store: a disk of 500 GiB with 1 GiB on it is back in the time of 1 GiB.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from backups.rules.coverage.coverage import LEVEL_ORDER, DiskCopy
from labpanel.lib.durations import span
from labpanel.lib.units import count, listed, rate, size

# What a speed may be measured from, the best first, and what it is called.
RESTORE, VERIFY, BACKUP = "restore", "verify", "backup"
SOURCES = {
    RESTORE: ("restore from it", "restores from it"),
    VERIFY: ("reading back there", "readings back there"),
    BACKUP: ("full backup to it", "full backups to it"),
}
NOT_MEASURED = "not measured yet"
# Of so many newest measurements the middle one counts.
NEWEST = 5
# Less than this part of the most that was measured tells of beginnings, not of speed.
LITTLE = 10


@dataclass(frozen=True, slots=True)
class Speed:
    """Bytes as they are stored, per second, end to end: what is zeros or never written costs
    nothing, whatever the disk's size."""

    store: str
    bytes_per_second: float
    source: str
    times: int

    @property
    def source_words(self) -> str:
        """ "By 3 restores from it"."""
        return f"By {count(self.times, *SOURCES[self.source])}"

    @property
    def words(self) -> str:
        one, many = SOURCES[self.source]
        return f"{rate(self.bytes_per_second)}, judged by {count(self.times, one, many)}"


@dataclass(frozen=True, slots=True)
class Measure:
    """So many stored bytes took so long."""

    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Standing:
    """One virtual disk as coverage sees it. `copy` is the newest good one that survives its host,
    None if there is none, and `stored_bytes` what has to be read to get that back, with all that
    it backs on; `used_bytes` is what lies on the disk (the whole disk where not known)."""

    disk: str
    level: str
    used_bytes: int
    copy: DiskCopy | None
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class DiskLoss:
    """`everything`, or the changes of the last `seconds`; `bytes` where that is known."""

    disk: str
    everything: bool
    seconds: float | None
    bytes: int | None
    copy: DiskCopy | None


@dataclass(frozen=True, slots=True)
class Back:
    """Bringing the copies back: `seconds` is None where nothing was measured of a store, or where
    stores are `silent`: what cannot be looked at now promises no time."""

    bytes: int
    seconds: float | None
    speeds: tuple[Speed, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        if self.silent:
            return f"not known while {listed(list(self.silent))} cannot be read"
        # nothing comes back in no time, however small it is
        return NOT_MEASURED if self.seconds is None else f"about {span(max(1.0, self.seconds))}"

    @property
    def why(self) -> str:
        """Where the number comes from, as a sentence."""
        if self.silent:
            return f"{listed(list(self.silent))} cannot be looked at now: no time is promised."
        if self.seconds is None:
            return "Nothing was restored from, read back in or fully written to its store yet."
        told = "; ".join(f"{speed.store}: {speed.words}" for speed in self.speeds)
        return f"{size(self.bytes)} are stored; the speed of {told}."


@dataclass(frozen=True, slots=True)
class Loss:
    """One VM. `level` is bad if a disk would be gone, good only if all copies are proven."""

    vm: str
    level: str
    disks: tuple[DiskLoss, ...]
    back: Back | None

    @property
    def words(self) -> str:
        return f"{self._lost}{self._unsure}"

    @property
    def left_out(self) -> list[str]:
        """What of the VM its copies do not hold, each once."""
        copies = (disk.copy for disk in self.disks if disk.copy)
        return list(dict.fromkeys(said for copy in copies for said in copy.left_out))

    @property
    def _unsure(self) -> str:
        """What the rest hangs on: stores that cannot be looked at now."""
        copies = [disk.copy for disk in self.disks if disk.copy]
        silent = sorted({copy.store for copy in copies if copy.silent})
        if not silent:
            return ""
        verb = "has its" if len(silent) == 1 else "have their"
        return f", if {listed(silent)} still {verb} copies, which cannot be checked now"

    @property
    def _lost(self) -> str:
        gone = [disk for disk in self.disks if disk.everything]
        rest = [disk for disk in self.disks if not disk.everything]
        if not gone:
            return f"the last {_longest(rest)} of changes"
        total = sum(disk.bytes or 0 for disk in gone)
        amount = f" ({size(total)})" if total else ""
        if not rest:
            return f"everything{amount}"
        left = f", and the last {_longest(rest)} on {listed([disk.disk for disk in rest])}"
        return f"everything on {listed([disk.disk for disk in gone])}{amount}{left}"

    @property
    def sentence(self) -> str:
        return f"{self.vm}: {self.words}"


def measured(store: str, found: Mapping[str, Sequence[Measure]]) -> Speed | None:
    """The speed of a store from what was measured, newest first, by kind (SOURCES)."""
    for source in SOURCES:
        newest = telling(found.get(source, ()))[:NEWEST]
        if newest:
            middle = statistics.median(one.bytes / one.seconds for one in newest)
            return Speed(store, middle, source, len(newest))
    return None


def telling(found: Sequence[Measure]) -> list[Measure]:
    """Those that tell a speed, in the same order. Of little data most of the time goes into
    beginning and ending: it is left out where more was ever measured."""
    real = [one for one in found if one.bytes > 0 and one.seconds > 0]
    most = max((one.bytes for one in real), default=0)
    return [one for one in real if one.bytes * LITTLE >= most]


def loss_of(
    vm: str, disks: Sequence[Standing], speeds: Mapping[str, Speed], now: datetime
) -> Loss | None:
    """What the death of this VM's host would take now; None for a VM of which nothing is kept on
    purpose. `speeds` are by the store's name."""
    kept = [disk for disk in disks if disk.level != "excluded"]
    if not kept:
        return None
    lost = tuple(_disk(disk, now) for disk in kept)
    if any(disk.everything for disk in lost):
        level = "bad"
    else:
        level = "good" if all(disk.level == "good" for disk in kept) else "watch"
    return Loss(vm, level, lost, _back(kept, speeds))


def worst_first(losses: Sequence[Loss]) -> list[Loss]:
    return sorted(losses, key=lambda loss: (LEVEL_ORDER.index(loss.level), loss.vm))


def all_back(losses: Sequence[Loss]) -> Back | None:
    """Bringing all of them back one after the other; None if nothing can be brought back."""
    backs = [loss.back for loss in losses if loss.back]
    if not backs:
        return None
    seconds = [back.seconds for back in backs if back.seconds is not None]
    whole = sum(seconds) if len(seconds) == len(backs) else None
    speeds = dict.fromkeys(speed for back in backs for speed in back.speeds)
    silent = sorted({store for back in backs for store in back.silent})
    return Back(sum(back.bytes for back in backs), whole, tuple(speeds), tuple(silent))


def _disk(disk: Standing, now: datetime) -> DiskLoss:
    if disk.copy is None:
        return DiskLoss(disk.disk, True, None, disk.used_bytes, None)
    seconds = max(0.0, (now - disk.copy.taken_at).total_seconds())
    return DiskLoss(disk.disk, False, seconds, None, disk.copy)


def _back(disks: Sequence[Standing], speeds: Mapping[str, Speed]) -> Back | None:
    there = [(disk, disk.copy.store) for disk in disks if disk.copy]
    if not there:
        return None
    total = sum(disk.stored_bytes for disk, _ in there)
    used = dict.fromkeys(store for _, store in there)
    silent = sorted({disk.copy.store for disk in disks if disk.copy and disk.copy.silent})
    if silent:
        return Back(total, None, silent=tuple(silent))
    if not all(store in speeds for store in used):
        return Back(total, None)
    seconds = sum(disk.stored_bytes / speeds[store].bytes_per_second for disk, store in there)
    return Back(total, seconds, tuple(speeds[store] for store in used))


def _longest(disks: Sequence[DiskLoss]) -> str:
    return span(max(disk.seconds or 0.0 for disk in disks))

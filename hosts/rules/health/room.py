"""Is there room enough on a file system that holds images, or on a store, and for how long? Pure.

Said long before nothing fits: then VMs pause, backups are refused, and nothing can be moved aside.
"""

from dataclasses import dataclass

from labpanel.lib.growth import DaysLeft
from labpanel.lib.units import count, size
from labpanel.symptoms.facts.file_systems import Little, Shortage
from labpanel.symptoms.symptom import Evidence

_MIB, _GIB = 1 << 20, 1 << 30
_LEAST, _MOST = 64 * _MIB, 1024 * _MIB
# Parts of the whole that are free. A big file system may be as full with hundreds of GiB to spare.
LITTLE, VERY_LITTLE = 0.10, 0.03
PLENTY = 100 * _GIB
# Free inodes, of which a file needs one whatever its size.
FEW_FILES, NO_FILES = 0.05, 0.01
WEEKS = 14  # days: time to order a drive
# What is little stays so until there is this much more: else a line would be crossed all day.
AGAIN = 0.02


@dataclass(frozen=True, slots=True)
class FreeRoom:
    """Bytes and inodes; `files` is 0 where their number is not fixed."""

    size: int
    available: int
    files: int = 0
    files_free: int = 0


@dataclass(frozen=True, slots=True)
class RoomNeeds:
    """What is to fit: `backup` bytes for the next one (for `whose`), `growth` by which thin images
    may grow before their guests see a full disk."""

    backup: int = 0
    whose: str = ""
    growth: int = 0
    left: DaysLeft | None = None


def scratch_floor(size_bytes: int) -> int:
    """Free bytes below which a backup beside the images is given up: 5 %, at least 64 MiB and at
    most 1 GiB."""
    return max(_LEAST, min(_MOST, size_bytes // 20))


def scratch_needs(size_bytes: int, virtual_bytes: int) -> int:
    """Free bytes without which a backup of disks of that size is not begun."""
    return scratch_floor(size_bytes) + min(virtual_bytes // 5, _MOST)


@dataclass(frozen=True, slots=True)
class JudgedRoom:
    """`level` is good, watch, bad or unknown; `little` stands at watch and bad."""

    level: str
    little: Little | None
    evidence: tuple[Evidence, ...] = ()


def judge(room: FreeRoom, needs: RoomNeeds, *, was_little: bool = False) -> JudgedRoom:
    """Unknown where a file system does not say how full it is."""
    if room.size <= 0:
        return JudgedRoom("unknown", None)
    level, why = _worst(room, needs, AGAIN if was_little else 0.0)
    little = _little(room, needs, why) if why is not None else None
    return JudgedRoom(level, little, tuple(_items(room, needs)))


def _worst(room: FreeRoom, needs: RoomNeeds, more: float) -> tuple[str, Shortage | None]:
    free = room.available / room.size
    left = needs.left.days if needs.left is not None else None
    if room.files and room.files_free / room.files < NO_FILES + more / 4:
        return "bad", Shortage.NO_FILES
    if free < VERY_LITTLE + more / 4 and room.available < PLENTY:
        return "bad", Shortage.PERCENT
    if needs.backup and room.available < needs.backup * (1 + more):
        return "bad", Shortage.BACKUP
    if left is not None and left < WEEKS * (1 + more * 10):
        return "watch", Shortage.PERCENT
    if free < LITTLE + more and room.available < PLENTY:
        growing = needs.growth > room.available
        return "watch", Shortage.GROWTH if growing else Shortage.PERCENT
    if free < 2 * LITTLE + more and needs.growth > room.available:
        return "watch", Shortage.GROWTH
    if room.files and room.files_free / room.files < FEW_FILES + more:
        return "watch", Shortage.FEW_FILES
    return "good", None


def _little(room: FreeRoom, needs: RoomNeeds, why: Shortage) -> Little:
    left = needs.left.days if needs.left is not None else None
    return Little(
        why,
        percent=max(0, round(room.available / room.size * 100)),
        days=whole_days(left) if left is not None and left < 10 * WEEKS else None,
        whose=needs.whose if why is Shortage.BACKUP else "",
    )


def whole_days(left: float) -> int:
    return 0 if left < 1 else round(left)


def _items(room: FreeRoom, needs: RoomNeeds) -> list[Evidence]:
    rows: list[Evidence] = []

    def add(what: str, value: str) -> None:
        rows.append(Evidence(what, value, "statvfs"))

    add("free", f"{size(room.available)} of {size(room.size)}")
    if room.files:
        add("free inodes", f"{room.files_free} of {room.files}")
    if needs.backup:
        add(f"needed by the next backup of {needs.whose}", size(needs.backup))
    if needs.growth:
        add("by which thin images may grow", size(needs.growth))
    if needs.left is not None:
        days = whole_days(needs.left.days)
        add(
            "full in, by the last days' samples", f"about {count(days, 'day') if days else 'a day'}"
        )
    return rows

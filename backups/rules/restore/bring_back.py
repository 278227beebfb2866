"""From which copy, and where, is a VM brought back whose host cannot be relied on? Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from labpanel.lib.units import size

# Every block is held against its digest before a VM gets it, so a copy that was not read back yet
# is no risk to what is there; one that was read back is preferred where that costs little.
_WORTH = timedelta(hours=1)
MARGIN_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class CopyCandidate:
    """A whole copy that can be reached and is older than the trouble."""

    key: str
    taken_at: datetime
    read_back: bool
    disks: frozenset[str]


def pick(candidates: Iterable[CopyCandidate], wanted: frozenset[str]) -> CopyCandidate | None:
    """The copy that holds most of the wanted disks; of these the newest, or one that was read back
    if it is hardly older."""
    found = list(candidates)
    if not found:
        return None
    most = max(len(one.disks & wanted) for one in found)
    fullest = [one for one in found if len(one.disks & wanted) == most]
    newest = max(fullest, key=_age)
    read = max((one for one in fullest if one.read_back), key=_age, default=None)
    if read is not None and newest.taken_at - read.taken_at <= _WORTH:
        return read
    return newest


def _age(one: CopyCandidate) -> datetime:
    return one.taken_at


@dataclass(slots=True)
class RestoreHost:
    """A host that is well, with what it has left; None where that is not known."""

    host: str
    memory_bytes: int | None
    room_bytes: int | None

    def take(self, memory: int, room: int) -> None:
        """Count a VM that is to come."""
        if self.memory_bytes is not None:
            self.memory_bytes -= memory
        if self.room_bytes is not None:
            self.room_bytes -= room


def place_for(places: Sequence[RestoreHost], memory: int, room: int) -> RestoreHost | None:
    """A host with room for the images; one with memory to spare before one without."""
    fit = [one for one in places if _has(one.room_bytes, room + MARGIN_BYTES)]
    roomy = [one for one in fit if _has(one.memory_bytes, memory)] or fit
    return max(roomy, key=lambda one: one.memory_bytes or 0, default=None)


def is_tight(place: RestoreHost, memory: int) -> bool:
    return not _has(place.memory_bytes, memory)


def why_nowhere(places: Sequence[RestoreHost], vm: str, room: int) -> str:
    """Why no host can take the VM."""
    if not places:
        return f"No other host is well, so there is no place for {vm}."
    roomiest = max(places, key=lambda one: one.room_bytes or 0)
    return (
        f"No other host has room for {vm}: its disks need {size(room + MARGIN_BYTES)}, and "
        f"{roomiest.host} has {size(roomiest.room_bytes)} free for images."
    )


def _has(there: int | None, needed: int) -> bool:
    return there is None or there >= needed

"""By what a drive is known: WWN and serial number, as far as they say something. Standard library
only.

Makers and enclosures leave them out, fill them with zeros, or give several drives the same ones. So
they are compared here, and only where both sides have one that can tell drives apart.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Self

# Families of names that are no world-wide number: a model and a serial number in other words
# (SPC-5, designator type T10; Linux' nvme_wwid without EUI or NGUID).
_WORDS = ("t10.", "nvme.")
_PREFIXES = ("0x", "naa.", "eui.", "uuid.", "wwn-")
# What enclosures and cheap controllers carry in place of a serial number.
_PLACEHOLDERS = ("0123456789abcdef", "1234567890abcdef", "01234567890123456789")
_LEAST = 4
_WORDS_OF_NONE = {"", "none", "unknown", "n/a", "notapplicable", "default"}


def plain_wwn(said: str) -> str:
    """0x5000c500…, naa.5000c500… and eui.… name the same thing. Empty where it names nothing: all
    zeros, all ones, or a kind (the first digit) and zeros behind it."""
    lower = said.strip().lower()
    if lower.startswith(_WORDS):
        return ""
    for prefix in _PREFIXES:
        lower = lower.removeprefix(prefix)
    digits = re.sub(r"[^0-9a-z]", "", lower)
    empty = not digits or set(digits[1:]) <= {"0"} or set(digits) == {"f"}
    return "" if empty else digits


def plain_serial(said: str, wwn: str = "") -> str:
    """Without blanks and dashes, in small letters. Empty where it tells nothing: a placeholder, or
    the WWN once more, which udev gives as the serial number of SAS drives (scsi_id, page 83h)."""
    bare = re.sub(r"[^0-9a-z]", "", said.lower())
    if bare in _WORDS_OF_NONE or len(bare) < 2 or len(set(bare)) == 1:
        return ""
    if len(bare) >= _LEAST and any(word.startswith(bare) for word in _PLACEHOLDERS):
        return ""
    known = plain_wwn(wwn)
    return "" if known and bare in {known, f"3{known}"} else bare


@dataclass(frozen=True, slots=True)
class DriveName:
    """A drive as it was seen, or as it is remembered. `member` tells those apart that a controller
    shows under one path (smartctl's type with a number: megaraid,3); else it is empty. `size` is in
    bytes, 0 where it is not known."""

    wwn: str
    serial: str
    model: str
    device: str
    member: str = ""
    size: int = 0

    @classmethod
    def of(
        cls,
        *,
        wwn: str,
        serial: str,
        model: str,
        device: str,
        interface: str = "",
        size: int | None = None,
    ) -> Self:
        return cls(
            wwn=plain_wwn(wwn),
            serial=plain_serial(serial, wwn),
            model=model.strip(),
            device=device,
            member=interface if "," in interface else "",
            size=size or 0,
        )


def likeness(one: DriveName, other: DriveName) -> int:
    """How surely these are the same drive; 0: they are not, or nothing says so."""
    if one.wwn and other.wwn and one.wwn != other.wwn:
        return 0
    if one.serial and other.serial and one.serial != other.serial:
        return 0
    by_name = 4 * (one.wwn != "" and one.wwn == other.wwn)
    by_name += 4 * (one.serial != "" and one.serial == other.serial)
    if by_name <= 4 and _other_size(one, other):
        return 0
    return by_name + _same_place(one, other)


def _same_place(one: DriveName, other: DriveName) -> int:
    if one.member != other.member or not one.device or _other_model(one, other):
        return 0
    if one.device == other.device:
        return 2
    return 1 if same_controller(one.device, other.device) else 0


def _other_size(one: DriveName, other: DriveName) -> bool:
    """Bridges and formats take a little away; more than a twentieth is another drive."""
    small, large = sorted((one.size, other.size))
    return small > 0 and large - small > large // 20


def _other_model(one: DriveName, other: DriveName) -> bool:
    """Whether two nameless drives are of different models. One of the two may be cut short, or lack
    the maker's name."""
    if one.wwn or one.serial or other.wwn or other.serial:
        return False
    first, second = (re.sub(r"[^0-9a-z]", "", each.model.lower()) for each in (one, other))
    return bool(first and second) and first not in second and second not in first


def same_controller(one: str, other: str) -> bool:
    return _controller(one) == _controller(other)


def _controller(device: str) -> str:
    """/dev/nvme0 for /dev/nvme0n1, since smartctl names the one and the kernel's list the other."""
    return re.sub(r"^(/dev/nvme\d+)n\d+$", r"\1", device)


def pair(seen: list[DriveName], known: list[DriveName]) -> list[int | None]:
    """For each drive of one look, which of the known ones it is; None for a new one. The surest
    pairs first, and none is taken twice: two drives of one look are two, whatever they call
    themselves."""
    marked: defaultdict[str, set[int]] = defaultdict(set)
    for there, row in enumerate(known):
        for mark in _marks(row):
            marked[mark].add(there)
    sure = []
    for here, drive in enumerate(seen):
        for there in set[int]().union(*(marked[mark] for mark in _marks(drive))):
            alike = likeness(drive, known[there])
            if alike:
                sure.append((-alike, there, here))
    found: list[int | None] = [None] * len(seen)
    taken: set[int] = set()
    for _, there, here in sorted(sure):
        if found[here] is None and there not in taken:
            found[here] = there
            taken.add(there)
    return found


def _marks(drive: DriveName) -> list[str]:
    """What two drives have to share at least one of to be alike."""
    place = f"at {_controller(drive.device)}" if drive.device else ""
    marks = (f"wwn {drive.wwn}" if drive.wwn else "", f"s/n {drive.serial}", place)
    return [mark for mark in marks if mark not in {"", "s/n "}]


def new_key(drive: DriveName, said_wwn: str, said_serial: str, taken: set[str], most: int) -> str:
    """A name for a drive that was not known: its WWN, else model and serial number, else its path;
    with more of them where another drive has that name. Never one of `taken`."""
    place = f"{drive.device} {drive.member}".strip()
    by_serial = f"{drive.model} {said_serial.strip()}".strip() if drive.serial else ""
    at_place = f"{drive.model} {place}".strip()
    wishes = [
        said_wwn.strip() if drive.wwn else "",
        by_serial,
        f"{said_wwn.strip()} {said_serial.strip()}" if drive.wwn and drive.serial else "",
        f"{by_serial} {place}" if by_serial else "",
        at_place,
    ]
    for wish in wishes:
        if wish and wish[:most] == wish and wish not in taken:
            return wish
    number = 2
    while f"{at_place[: most - 8]} {number}" in taken:
        number += 1
    return f"{at_place[: most - 8]} {number}"

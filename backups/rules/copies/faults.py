"""What is wrong with a generation, and how the findings of several looks add up. Pure.

Each way of looking takes back only what it can see: a look at the store sees files that are gone
or cut (LOOK), hashing sees changed files (FILES), reading sees changed content (CONTENT).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from backups.rules.backup.spans import Spans, common, joined, without
from labpanel.lib.byte_spans import spelled

LOOK, FILES, CONTENT = 0, 1, 2
# How onhost/store/prover.py begins what it says of a file that its machine cannot read.
UNREAD = "cannot be read"
GONE, CHANGED, ROTTEN = "is gone", "is not what was written", "differs from what was backed up"


@dataclass(frozen=True, slots=True)
class Fault:
    """`file` of the generation `of` is wrong: `what` ends the sentence. For a disk's content
    `ranges` are the bytes of `disk` that the generation shows wrongly; a file of another
    generation is one that its own image backs on."""

    level: int
    of: str
    file: str
    what: str
    disk: str = ""
    ranges: Spans = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self, key: str) -> str:
        """The part of a sentence for a reader who looks at generation `key`."""
        whose = "" if self.of == key else f" of generation {self.of}, which it is built on,"
        at = f" at {spelled(self.ranges)} of {self.disk}" if self.ranges else ""
        return f"{self.file}{whose} {self.what}{at}".strip()


def from_json(entry: Mapping[str, Any]) -> Fault:
    return Fault(**entry)


@dataclass(frozen=True, slots=True)
class InspectedGeneration:
    """What was looked at in one generation. `levels` were looked at in full; otherwise `within`
    says which bytes of which disks were read."""

    faults: Sequence[Fault] = ()
    levels: frozenset[int] = frozenset()
    within: Mapping[str, Spans] = field(default_factory=dict)


def added(old: Iterable[Fault], seen: InspectedGeneration) -> list[Fault]:
    """The findings after this look: what it saw replaces what was known of the same."""
    kept = [fault for fault in (_left(fault, seen) for fault in old) if fault is not None]
    return _tidy([*kept, *seen.faults])


def _left(fault: Fault, seen: InspectedGeneration) -> Fault | None:
    if fault.level in seen.levels:
        return None
    if fault.level != CONTENT or not fault.ranges:
        return fault
    left = without(fault.ranges, seen.within.get(fault.disk, []))
    if not left:
        return None
    return Fault(fault.level, fault.of, fault.file, fault.what, fault.disk, left)


def _tidy(faults: Iterable[Fault]) -> list[Fault]:
    """One for each file and kind, its ranges joined."""
    found: dict[tuple[int, str, str, str], Fault] = {}
    for fault in faults:
        place = (fault.level, fault.of, fault.file, fault.what)
        known = found.get(place)
        ranges = joined([*(known.ranges if known else []), *fault.ranges])
        found[place] = Fault(*place, fault.disk, ranges)
    return list(found.values())


def bad_of(faults: Iterable[Fault], disk: str, virtual_bytes: int) -> Spans:
    """The bytes of one disk that the generation shows wrongly."""
    whole = [[0, virtual_bytes]]
    spans = [span for fault in faults if fault.disk == disk for span in fault.ranges]
    return common(joined(spans), whole)


def text(faults: Iterable[Fault], key: str) -> str:
    """All of it as the end of "… is damaged: "."""
    return "; ".join(dict.fromkeys(fault.sentence(key) for fault in faults))

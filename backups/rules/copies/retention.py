"""Which copies of a VM in one store stay, and why each one does or goes. Pure.

A policy keeps the newest N copies, and the newest copy of each of the last N days, weeks (ISO 8601)
and months that have one, in its time zone. Each of these counts on its own, so one copy may be
wanted by several. Only whole copies count: one that is damaged never takes the place of a good one.
Whatever the numbers say, the last good copy of a disk stays, and so does the last one that was read
back. A copy that this panel did not sign, or that is dated in the future, pushes no other one out
(rules/copies/trust.py).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from labpanel.lib.units import count, listed

KEPT, DROPPED, GONE = "kept", "dropped", "gone"


@dataclass(frozen=True, slots=True)
class RetainedCopy:
    """One generation. `good` are the targets of its disks that are as backed up as far as is known,
    `bad` of those that are not; `parents` leads from a target to the key of the generation that the
    disk's image backs on; `former` from a target to the image of a disk whose place another disk
    has taken since. `proven` says that its content was read back, `protected` why it must stay,
    `gone` that it is not in the store any more. `doubt` says why it counts for nothing (the end of
    a sentence); one that does not displace is kept or dropped as if it were the only one of its
    kind, and no other copy goes because of it."""

    key: str
    taken_at: datetime
    good: frozenset[str]
    bad: frozenset[str] = frozenset()
    parents: Mapping[str, str] = field(default_factory=dict)
    former: Mapping[str, str] = field(default_factory=dict)
    proven: bool = False
    protected: str = ""
    gone: bool = False
    doubt: str = ""
    displaces: bool = True

    @property
    def whole(self) -> bool:
        return not self.bad


@dataclass(frozen=True, slots=True)
class Keep:
    """A policy's numbers; `zone` is an IANA name."""

    last: int
    daily: int
    weekly: int
    monthly: int
    zone: str


@dataclass(frozen=True, slots=True)
class CopyFate:
    """`fate` is KEPT, DROPPED or GONE; `reason` follows it: "kept: newest of week 47"."""

    key: str
    fate: str
    reason: str

    @property
    def sentence(self) -> str:
        return f"{self.fate}: {self.reason}"


def judge(copies: Iterable[RetainedCopy], keep: Keep | None, frozen: str = "") -> list[CopyFate]:
    """A verdict for each copy, newest first. `keep` None: nothing is ever dropped. `frozen` says
    why nothing is dropped at all just now (the VM is held, say)."""
    ordered = sorted(copies, key=lambda copy: (copy.taken_at, copy.key), reverse=True)
    here = [copy for copy in ordered if not copy.gone]
    reasons = _frozen(here, keep, frozen) or _reasons(here, keep)
    return [_verdict(copy, reasons.get(copy.key, []), keep) for copy in ordered]


def _frozen(here: Sequence[RetainedCopy], keep: Keep | None, frozen: str) -> dict[str, list[str]]:
    if keep is None:
        frozen = "no policy says how many to keep"
    return {copy.key: [frozen] for copy in here} if frozen else {}


def _reasons(here: Sequence[RetainedCopy], keep: Keep | None) -> dict[str, list[str]]:
    """By key, why a copy stays; one that is not in it goes."""
    assert keep is not None
    counted = [copy for copy in here if copy.displaces and not copy.doubt]
    found = _counted(counted, keep)
    for at, copy in enumerate(here):
        if copy.doubt:
            found[copy.key] = [f"it {copy.doubt}, so it counts for nothing and is left alone"]
        elif not copy.displaces:
            newer = [each for each in here[:at] if each in counted]
            alone = _counted([*newer, copy, *counted[len(newer) :]], keep)
            found |= {copy.key: alone[copy.key]} if copy.key in alone else {}
    for key, reason in [*_protected(here), *_carrying(here, found)]:
        if reason not in found.setdefault(key, []):
            found[key].append(reason)
    return found


def _counted(here: Sequence[RetainedCopy], keep: Keep) -> dict[str, list[str]]:
    """The same for copies that may displace each other, newest first."""
    found: dict[str, list[str]] = {}
    for wanted in (_protected(here), _wanted(here, keep), _last_good(here), _waiting(here, keep)):
        for key, reason in wanted:
            found.setdefault(key, []).append(reason)
    return found


def _protected(here: Sequence[RetainedCopy]) -> list[tuple[str, str]]:
    return [(each.key, f"protected because {each.protected}") for each in here if each.protected]


def _wanted(here: Sequence[RetainedCopy], keep: Keep) -> list[tuple[str, str]]:
    """What the policy's numbers ask for."""
    whole = [copy for copy in here if copy.whole]
    zone = ZoneInfo(keep.zone)
    last = "the last one" if keep.last == 1 else f"one of the last {keep.last}"
    found = [(copy.key, last) for copy in whole[: keep.last]]
    for number, period, name in (
        (keep.daily, _day, _day_name),
        (keep.weekly, _week, _week_name),
        (keep.monthly, _month, _month_name),
    ):
        newest: dict[tuple[int, ...], tuple[str, str]] = {}
        for copy in whole:
            local = copy.taken_at.astimezone(zone)
            newest.setdefault(period(local), (copy.key, f"newest of {name(local)}"))
        found += list(newest.values())[:number]
    return found


def _day(local: datetime) -> tuple[int, ...]:
    return (local.year, local.month, local.day)


def _day_name(local: datetime) -> str:
    return f"{local.day} {local:%B %Y}"


def _week(local: datetime) -> tuple[int, ...]:
    year, week, _ = local.isocalendar()
    return (year, week)


def _week_name(local: datetime) -> str:
    year, week, _ = local.isocalendar()
    return f"week {week} of {year}"


def _month(local: datetime) -> tuple[int, ...]:
    return (local.year, local.month)


def _month_name(local: datetime) -> str:
    return f"{local:%B %Y}"


def _last_good(here: Sequence[RetainedCopy]) -> list[tuple[str, str]]:
    """The newest good copy of each disk that any copy holds, present in the VM or not; the newest
    one that was read back, which is the last good one in the strict sense; and where a disk has no
    good copy, all that hold it: what is left of it may be all that there is."""
    holding: dict[tuple[str, str], list[RetainedCopy]] = {}
    for copy in here:
        for target in copy.good | copy.bad:
            holding.setdefault((target, copy.former.get(target, "")), []).append(copy)
    found = []
    for target, image in sorted(holding):
        disk = f"{target} as it was in {image}" if image else target
        found += _last_of(target, disk, holding[target, image])
    return found


def _last_of(target: str, disk: str, holding: Sequence[RetainedCopy]) -> list[tuple[str, str]]:
    good = [copy for copy in holding if target in copy.good]
    if not good:
        return [(copy.key, f"no good copy of {disk} is left") for copy in holding]
    found = [(good[0].key, f"the last good one of {disk}")]
    proven = next((copy for copy in good if copy.proven), None)
    if proven is not None and proven is not good[0]:
        found.append((proven.key, f"the last one of {disk} that was read back"))
    return found


def _waiting(here: Sequence[RetainedCopy], keep: Keep) -> list[tuple[str, str]]:
    """Those not whole that the policy's last ones have not replaced yet: they may be mended."""
    found, newer = [], 0
    for copy in here:
        newer += copy.whole
        if not copy.whole and newer < keep.last:
            newer_ones = count(keep.last, "whole copy is", "whole copies are")
            found.append(
                (copy.key, f"not whole, so it counts for nothing until {newer_ones} newer")
            )
    return found


def _carrying(here: Sequence[RetainedCopy], kept: Collection[str]) -> list[tuple[str, str]]:
    """Those right under a kept disk that is not whole: a merge could not be proven to keep what is
    left of it. Below the next one that stays anything may be merged."""
    parents = {(copy.key, target): key for copy in here for target, key in copy.parents.items()}
    present, stay = {copy.key for copy in here}, set(kept)
    found = []
    for copy in here:
        for target in sorted(copy.bad) if copy.key in stay else ():
            key = copy.parents.get(target, "")
            while key in present - stay:
                found.append((key, f"{target} of {copy.key} builds on it, and is not whole"))
                stay.add(key)
                key = parents.get((key, target), "")
    return found


def _verdict(copy: RetainedCopy, reasons: Sequence[str], keep: Keep | None) -> CopyFate:
    if copy.gone:
        return CopyFate(copy.key, GONE, "it is not in the store any more, and counts for nothing")
    if reasons:
        return CopyFate(copy.key, KEPT, ", ".join(_unlike(reasons)))
    assert keep is not None
    return CopyFate(copy.key, DROPPED, _why_dropped(copy, keep))


def _unlike(reasons: Sequence[str]) -> list[str]:
    """ "the last good one of vda", "… of vdb" as one; the rest as they are, each once."""
    start = "the last good one of "
    targets = [reason.removeprefix(start) for reason in reasons if reason.startswith(start)]
    rest = [reason for reason in dict.fromkeys(reasons) if not reason.startswith(start)]
    # Beside what the policy wants it says nothing new.
    return rest if rest or not targets else [start + listed(targets)]


def _why_dropped(copy: RetainedCopy, keep: Keep) -> str:
    last = "the last copy" if keep.last == 1 else f"the last {keep.last} copies"
    if copy.bad:
        return f"{listed(sorted(copy.bad))} of it is not whole, and it is older than {last}"
    numbers: tuple[tuple[int, str], ...] = (
        (keep.daily, "daily"),
        (keep.weekly, "weekly"),
        (keep.monthly, "monthly"),
    )
    asked = [f"{number} {word} ones" for number, word in numbers if number]
    also = f", and not among the {listed(asked)}" if asked else ""
    return f"older than {last}{also}"


def dropped(verdicts: Collection[CopyFate]) -> list[str]:
    """Keys of those that go, newest first."""
    return [verdict.key for verdict in verdicts if verdict.fate == DROPPED]

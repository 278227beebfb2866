"""Is this virtual disk safe? Pure: what is kept of it, and the time, in; verdict and reason out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

# A weekly backup with a day to spare. Policies will bring an age of their own.
AGE_LIMIT = timedelta(days=8)

# Worst first: the order in which the verdicts are shown.
ORDER = (
    "none",
    "broken",
    "local only",
    "stale",
    "unknown",
    "unverified",
    "unrehearsed",
    "covered",
    "excluded",
)
# What a verdict means for the eye: bad needs an act, watch a look.
LEVELS = {
    "none": "bad",
    "broken": "bad",
    "local only": "bad",
    "stale": "bad",
    "unknown": "unknown",
    "unverified": "watch",
    "unrehearsed": "good",
    "covered": "good",
    "excluded": "good",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """One generation that holds the disk. `off_host` is False also when its store lies on a
    physical disk below the virtual disk itself; `same_drive` says which it is. `damage` is empty
    for a whole one."""

    generation: str
    store: str
    taken_at: datetime
    off_host: bool
    same_drive: bool = False
    damage: str = ""
    verified_at: datetime | None = None
    rehearsed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Covered:
    """The verdict, one of ORDER, its reason, and the generation that it speaks of, if any."""

    verdict: str
    reason: str
    newest: Kept | None = None

    @property
    def level(self) -> str:
        return LEVELS[self.verdict]


def judge(kept: Sequence[Kept], *, now: datetime, excluded: str = "", unknown: str = "") -> Covered:
    """The verdict on one disk. `excluded` is who took it out and why, `unknown` why the host's
    word is not to be had; `kept` may come in any order."""
    newest_first = sorted(kept, key=lambda one: one.taken_at, reverse=True)
    if excluded:
        return Covered("excluded", excluded, next(iter(newest_first), None))
    if not newest_first:
        return Covered("none", "There is no backup of this disk.")
    whole = [one for one in newest_first if not one.damage]
    if not whole:
        newest = newest_first[0]
        return Covered("broken", f"The only backup is damaged: {newest.damage}.", newest)
    away = [one for one in whole if one.off_host]
    if not away:
        return _local(whole[0])
    return _away(away[0], newest_first[0], now, unknown)


def _local(newest: Kept) -> Covered:
    where = "on the very drive that it is to protect" if newest.same_drive else "on the same host"
    return Covered(
        "local only", f"The store {newest.store} lies {where}; nothing is kept elsewhere.", newest
    )


def _away(newest: Kept, latest: Kept, now: datetime, unknown: str) -> Covered:
    age = now - newest.taken_at
    if age > AGE_LIMIT:
        return Covered(
            "stale",
            f"The newest backup on another machine is {age.days} days old, "
            f"the limit is {AGE_LIMIT.days}.",
            newest,
        )
    if latest.damage and latest.taken_at > newest.taken_at:
        return Covered(
            "broken",
            f"The newest backup is damaged ({latest.damage}); the one before is whole.",
            newest,
        )
    if unknown:
        return Covered("unknown", unknown, newest)
    if newest.verified_at is None:
        return Covered(
            "unverified", "The backup was never read back and compared; verify it.", newest
        )
    if newest.rehearsed_at is None:
        return Covered("unrehearsed", "Verified, but it was never booted to prove it.", newest)
    return Covered("covered", "Kept on another machine, verified and rehearsed.", newest)

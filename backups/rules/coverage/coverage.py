"""Is this virtual disk safe? Pure: what is kept of it, and the time, in; verdict and reason out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backups.rules.copies.trust import AHEAD, is_ahead
from labpanel.lib.durations import ago, between, span
from labpanel.lib.units import count, size

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
# The colour of each verdict: bad needs an action, watch needs a look. What its owner left out on
# purpose is neither good nor bad.
LEVELS = {
    "none": "bad",
    "broken": "bad",
    "local only": "bad",
    "stale": "bad",
    "unknown": "unknown",
    "unverified": "watch",
    "unrehearsed": "watch",
    "covered": "good",
    "excluded": "excluded",
}
LEVEL_ORDER = ("bad", "unknown", "watch", "good", "excluded")

Ranges = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the VM's policy asks for. `verify` and `rehearse` are how long a proof counts. None:
    reading back counts for ever; booting was never asked for. Without a policy: a weekly backup
    with a day to spare, read back as often and booted once a month."""

    age: timedelta = timedelta(days=8)
    verify: timedelta | None = timedelta(days=8)
    rehearse: timedelta | None = timedelta(days=31)
    policy: str = ""


@dataclass(frozen=True, slots=True)
class DiskCopy:
    """One generation that holds the disk. `off_host` is False also when its store lies on a
    physical disk below the virtual disk itself; `same_drive` says which it is. `damage` is empty
    for a whole one; `unreadable` are [first byte, byte after] that its source could not read.
    `failed_at` is when it was last booted, if that went wrong, and `failure` what was seen then;
    `shown` is what its last rehearsal showed, if that neither proved nor disproved that it boots.
    `silent` is why its store cannot be looked at; what was known of it may be over. `left_out` says
    what the VM had, and this generation has not."""

    generation: str
    store: str
    taken_at: datetime
    off_host: bool
    same_drive: bool = False
    damage: str = ""
    verified_at: datetime | None = None
    rehearsed_at: datetime | None = None
    unreadable: tuple[tuple[int, int], ...] = ()
    failed_at: datetime | None = None
    failure: str = ""
    shown: str = ""
    silent: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def wrong(self) -> str:
        """Why it is no good copy of this disk, as a sentence part; empty if it is one."""
        if self.damage:
            return f"is damaged ({self.damage})"
        if self.unreadable:
            return f"lacks {spelled(self.unreadable)} that its source could not read"
        return ""


@dataclass(frozen=True, slots=True)
class Covered:
    """The verdict, one of ORDER, its reason, and the generation that it speaks of, if any.
    `mild`: something is wrong, but a good fresh copy lies on another machine."""

    verdict: str
    reason: str
    newest: DiskCopy | None = None
    mild: bool = False
    rehearsed: DiskCopy | None = None

    @property
    def level(self) -> str:
        return "watch" if self.mild else LEVELS[self.verdict]


_SINCE_TROUBLE = (
    "Every copy of this disk was made after the trouble with its source began, so it may hold what "
    "was damaged by then."
)


def one_of_each_store(kept: Sequence[DiskCopy]) -> tuple[DiskCopy, ...]:
    """The newest whole copy in each store, newest first: what there is, whatever the verdict."""
    newest_first = sorted(kept, key=lambda one: one.taken_at, reverse=True)
    found: dict[str, DiskCopy] = {}
    for one in newest_first:
        if not one.wrong:
            found.setdefault(one.store, one)
    return tuple(found.values())


def judge(
    kept: Sequence[DiskCopy],
    *,
    now: datetime,
    limits: Limits = Limits(),
    excluded: str = "",
    unknown: str = "",
    missed: Ranges = (),
    cannot: str = "",
    suspect: datetime | None = None,
) -> Covered:
    """The verdict on one disk. `excluded` is who took it out and why, `unknown` why the host's
    word is not to be had, `missed` what the last deep run found that QEMU's bitmap had not told,
    `cannot` why no backup of it can be made as it is, `suspect` since when what the disk reads is
    not to be believed; `kept` may come in any order."""
    # What is dated in the future counts for nothing beside what is not.
    dated = [one for one in kept if not is_ahead(one.taken_at, now)] or kept
    # Nor does what was copied from a suspect disk beside what is older than its trouble.
    sound = [one for one in dated if suspect is None or one.taken_at <= suspect]
    newest_first = sorted(sound or dated, key=lambda one: one.taken_at, reverse=True)
    if excluded:
        return Covered("excluded", excluded, next(iter(newest_first), None))
    if cannot and not newest_first:
        return Covered("none", f"There is no backup of this disk. {cannot}")
    told = _judge(newest_first, now, limits, unknown, missed)
    if newest_first and not sound and told.level in {"good", "watch"}:
        return Covered("unverified", _SINCE_TROUBLE, told.newest)
    silent = next((one for one in newest_first if one.silent), None)
    if silent is None or told.level not in {"good", "watch"}:
        return told
    # Good news from a store that cannot be looked at is none; where others say the same, it stays.
    heard = [one for one in newest_first if not one.silent]
    alone = _judge(heard, now, limits, unknown, missed)
    if alone.level in {"good", "watch"}:
        return alone
    reason = f"What {silent.store} holds cannot be looked at: {silent.silent}"
    return Covered("unknown", reason, told.newest)


def _judge(
    newest_first: Sequence[DiskCopy], now: datetime, limits: Limits, unknown: str, missed: Ranges
) -> Covered:
    """As if every store could be looked at."""
    if not newest_first:
        asked = "" if limits.policy else ", and no policy asks for one"
        return Covered("none", f"There is no backup of this disk{asked}.")
    whole = [one for one in newest_first if not one.wrong]
    if not whole:
        return _all_wrong(newest_first)
    away = [one for one in whole if one.off_host]
    if not away:
        return _local(whole[0], newest_first)
    return (
        _broken(away[0], newest_first, now, limits)
        or _stale(next((one for one in away if _fresh(one, now, limits)), away[0]), now, limits)
        or _doubted(away[0], newest_first, missed)
        or (Covered("unknown", unknown, away[0]) if unknown else None)
        or _did_not_boot(away, now)
        or _proven(away, now, limits)
    )


def spelled(ranges: Ranges) -> str:
    """ "3 places (192 KiB)"."""
    total = sum(after - first for first, after in ranges)
    return f"{count(len(ranges), 'place')} ({size(total)})"


def _all_wrong(newest_first: Sequence[DiskCopy]) -> Covered:
    newest = newest_first[0]
    what = "The only backup" if len(newest_first) == 1 else "No backup is whole; the newest"
    return Covered("broken", f"{what} {newest.wrong}.", newest)


def _local(newest: DiskCopy, newest_first: Sequence[DiskCopy]) -> Covered:
    where = "on the very drive that it is to protect" if newest.same_drive else "on the same host"
    elsewhere = next((one for one in newest_first if one.off_host), None)
    if elsewhere:
        reason = (
            f"The copy in {elsewhere.store} {elsewhere.wrong}. A whole one lies in "
            f"{newest.store}, but {where}."
        )
        return Covered("broken", reason, newest)
    reason = f"The store {newest.store} lies {where}; nothing is kept elsewhere."
    return Covered("local only", reason, newest)


def _broken(
    good: DiskCopy, newest_first: Sequence[DiskCopy], now: datetime, limits: Limits
) -> Covered | None:
    """A copy elsewhere that is newer than the newest whole one, and is not whole itself."""
    later = [one for one in newest_first if one.off_host and one.taken_at > good.taken_at]
    if not later:
        return None
    before = f"the one before, {between(good.taken_at, now)} old, is whole"
    if now - good.taken_at > limits.age:
        before += f", but {_too_old(limits)}"
    return Covered("broken", f"The newest backup {later[0].wrong}; {before}.", good)


def _stale(good: DiskCopy, now: datetime, limits: Limits) -> Covered | None:
    if _fresh(good, now, limits):
        return None
    if now - good.taken_at < -AHEAD:
        reason = (
            f"The newest backup on another machine is dated {good.taken_at:%Y-%m-%d %H:%M} UTC, "
            f"which is in the future: a clock was wrong, so its age is not known. Back it up again."
        )
        return Covered("stale", reason, good)
    age = between(good.taken_at, now)
    reason = f"The newest backup on another machine is {age} old; {_too_old(limits)}."
    return Covered("stale", reason, good)


def _too_old(limits: Limits) -> str:
    who = f"the policy {limits.policy} allows" if limits.policy else "the limit is"
    return f"{who} {span(limits.age.total_seconds())}"


def _doubted(good: DiskCopy, newest_first: Sequence[DiskCopy], missed: Ranges) -> Covered | None:
    """A good fresh copy lies elsewhere, and still something must be looked into."""
    if missed:
        reason = (
            f"QEMU's bitmap had missed changes: {spelled(missed)}. The last deep run found and "
            f"saved them, but older copies may lack them."
        )
        return Covered("broken", reason, good, mild=True)
    newest_of = {one.store: one for one in reversed(newest_first)}
    wrong = [one for one in newest_of.values() if one.wrong]
    if not wrong:
        return None
    reason = (
        f"The newest copy in {wrong[0].store} {wrong[0].wrong}; a whole one is in {good.store}."
    )
    return Covered("broken", reason, good, mild=True)


def _did_not_boot(away: Sequence[DiskCopy], now: datetime) -> Covered | None:
    """The last time that a copy was booted it failed: until one passes, that is what is known."""
    failed = max((one for one in away if one.failed_at), key=_failed, default=None)
    if failed is None:
        return None
    if any(one.rehearsed_at and one.rehearsed_at > _failed(failed) for one in away):
        return None
    reason = f"The copy of {ago(failed.taken_at, now)} was booted {ago(failed.failed_at, now)}, "
    return Covered("broken", f"{reason}and that failed: {failed.failure}", failed)


def _failed(one: DiskCopy) -> datetime:
    assert one.failed_at is not None
    return one.failed_at


def _proven(away: Sequence[DiskCopy], now: datetime, limits: Limits) -> Covered:
    """How far the copies elsewhere are proven. The newest one that was read back speaks for the
    disk as long as its own age is within the limit: a newer one waits for its turn."""
    fresh = [one for one in away if _fresh(one, now, limits)]
    read = next((one for one in fresh if _counts(one.verified_at, now, limits.verify)), None)
    if read is None:
        return Covered("unverified", _unread(away[0], now), away[0])
    if limits.rehearse is None:
        reason = "Kept on another machine and read back; its policy does not ask for booting it."
        return Covered("covered", reason, read)
    booted = [one for one in away if one.rehearsed_at]
    last = max(booted, key=lambda one: one.rehearsed_at or now, default=None)
    if last is None:
        shown = next((one.shown for one in away if one.shown), "")
        reason = f"Read back and whole, but no copy was ever booted to prove it. {shown}".rstrip()
        return Covered("unrehearsed", reason, read)
    said = f"a copy was last booted {ago(last.rehearsed_at, now)}"
    if not _counts(last.rehearsed_at, now, limits.rehearse):
        reason = f"Read back and whole, but {said}; that counts {_days(limits.rehearse)}."
        return Covered("unrehearsed", reason, read, rehearsed=last)
    reason = f"Kept on another machine, read back {ago(read.verified_at, now)}; {said}."
    return Covered("covered", reason, read, rehearsed=last)


def _fresh(one: DiskCopy, now: datetime, limits: Limits) -> bool:
    return -AHEAD <= now - one.taken_at <= limits.age


def _counts(at: datetime | None, now: datetime, window: timedelta | None) -> bool:
    return at is not None and (window is None or -AHEAD <= now - at <= window)


def _unread(newest: DiskCopy, now: datetime) -> str:
    if newest.verified_at is None:
        return "The newest backup was never read back and compared; verify it."
    return f"The newest backup was last read back {ago(newest.verified_at, now)}; verify it again."


def _days(window: timedelta) -> str:
    return f"for {span(window.total_seconds())}"

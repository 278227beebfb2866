"""Which days brought a copy of a virtual disk. Pure: what happened on each day in, a strip out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from labpanel.lib.units import count

# Four weeks: of a weekly policy that is four runs, and a phone has room for as many days.
SHOWN = 28

WORKED, DAMAGED, FAILED, MISSED, QUIET, BEFORE = (
    "worked",
    "damaged",
    "failed",
    "missed",
    "quiet",
    "before",
)
_WORDS = {DAMAGED: "a copy is damaged since", FAILED: "failed", MISSED: "was due and did not run"}


@dataclass(frozen=True, slots=True)
class Day:
    """`state` is one of the words above: BEFORE the disk was there nothing can be missed; on a
    QUIET day nothing was due. `why` and `job` say more of a FAILED one."""

    day: date
    state: str
    why: str = ""
    job: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A backup that ended without a copy: its sentence and the job's number."""

    sentence: str
    job: int


@dataclass(frozen=True, slots=True)
class Happened:
    """What is known of a disk's days. `copied` are days with a whole copy of it, `damaged` those
    whose only copy is no longer whole, `missed` those on which a run was due and none began."""

    since: date
    copied: Collection[date] = ()
    damaged: Collection[date] = ()
    failed: Mapping[date, Failure] | None = None
    missed: Collection[date] = ()


def strip(happened: Happened, today: date, shown: int = SHOWN) -> list[Day]:
    """The last `shown` days, oldest first, today included."""
    return [_day(happened, today - timedelta(days=before)) for before in range(shown - 1, -1, -1)]


def _day(happened: Happened, day: date) -> Day:
    if day in happened.copied:
        return Day(day, WORKED)
    if day in happened.damaged:
        return Day(day, DAMAGED)
    failure = (happened.failed or {}).get(day)
    if failure:
        return Day(day, FAILED, failure.sentence, failure.job)
    if day in happened.missed:
        return Day(day, MISSED)
    return Day(day, BEFORE if day < happened.since else QUIET)


def words(days: Sequence[Day]) -> str:
    """The strip for who cannot see it: "Last 28 days: a copy on 4 days, last 22 Nov; failed on
    1 day, last 15 Nov."."""
    said = [_said(days, state, what) for state, what in {WORKED: "a copy", **_WORDS}.items()]
    told = "; ".join(each for each in said if each)
    return f"Last {count(len(days), 'day')}: {told or 'no run'}."


def _said(days: Sequence[Day], state: str, what: str) -> str:
    found = [each.day for each in days if each.state == state]
    if not found:
        return ""
    return f"{what} on {count(len(found), 'day')}, last {found[-1].day} {found[-1]:%b}"


def troubles(days: Sequence[Day]) -> list[Day]:
    """The days that did not go well, newest first."""
    return [each for each in reversed(days) if each.state in _WORDS]

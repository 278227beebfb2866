"""Groups: the jobs that one wish opened, under a parent of kind "group".

The parent holds no lock and is never sent: its row says "running" for good, and what it shows is
counted from its children each time it is read. So nothing has to be written when a child ends, and
no worker that dies leaves a group open.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django.db import transaction
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from labpanel.adapters.redis import bus
from labpanel.jobs.kinds import GROUP
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE, State
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.printable import printable


@dataclass(frozen=True, slots=True)
class Tally:
    """How many children of a group are in one state; `progress` is the sum of theirs."""

    state: State
    count: int
    progress: int
    cancelling: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GroupState:
    """What a group shows."""

    state: State
    progress: int
    phase: str
    sentence: str
    cancel_asked: bool
    started_at: datetime | None
    ended_at: datetime | None


def gather(title: str, jobs: Sequence[Job], *, asked_by: Actor = PANEL) -> Job | None:
    """A parent for jobs that were just opened; None for fewer than two, which need none."""
    if len(jobs) < 2:
        return None
    with transaction.atomic():
        parent: Job = Job.objects.create(
            kind=GROUP,
            title=printable(title),
            asked_by=str(asked_by),
            state=State.RUNNING,
            started_at=timezone.now(),
        )
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(parent=parent)
    bus.publish("jobs")
    return parent


def children_of(job: Job) -> list[Job]:
    """In the order in which they were opened."""
    return list(Job.objects.filter(parent=job.pk).order_by("pk")) if job.kind == GROUP else []


def active() -> QuerySet[Job]:
    """Jobs that have not ended, and groups with such a child."""
    children = Job.objects.filter(parent=OuterRef("pk"), state__in=ACTIVE)
    found: QuerySet[Job] = Job.objects.filter(
        Q(state__in=ACTIVE) & ~Q(kind=GROUP) | Q(Exists(children), kind=GROUP)
    )
    return found


def as_shown(jobs: Iterable[Job]) -> list[Job]:
    """The rows, with what a group shows filled in from its children; not to be saved. One query,
    if there is a group among them."""
    rows = list(jobs)
    groups = [job.pk for job in rows if job.kind == GROUP]
    tallies = _tallies(groups) if groups else {}
    for job in rows:
        if job.kind == GROUP:
            _fill(job, state_of_group(tallies.get(job.pk, [])))
    return rows


def state_of_group(tallies: Sequence[Tally]) -> GroupState:
    """Done only if all are done; ended when all have ended."""
    count = {tally.state: tally.count for tally in tallies}
    total, done = sum(count.values()), count.get(State.DONE, 0)
    at_work = [tally for tally in tallies if tally.state in ACTIVE]
    left = sum(tally.count for tally in at_work)
    state = _state(count)
    reached = (total - left) * 100 + sum(tally.progress for tally in at_work)
    progress = 100 if state == State.DONE else min(99, reached // max(1, total))
    began = [tally.started_at for tally in tallies if tally.started_at]
    ended = [tally.ended_at for tally in tallies if tally.ended_at]
    return GroupState(
        state=state,
        progress=progress,
        phase=f"{total - left} of {total} have ended" if left else "",
        sentence="" if left else _sentence(count, done, total),
        cancel_asked=bool(left) and all(tally.cancelling == tally.count for tally in at_work),
        started_at=min(began, default=None),
        ended_at=None if left else max(ended, default=None),
    )


def _state(count: dict[State, int]) -> State:
    if count.keys() <= {State.DONE}:
        return State.DONE
    if count.keys() <= {State.WAITING}:
        return State.WAITING
    if count.keys() & set(ACTIVE):
        return State.RUNNING
    if count.keys() <= {State.DONE, State.CANCELLED}:
        return State.CANCELLED
    return State.FAILED


def _sentence(count: dict[State, int], done: int, total: int) -> str:
    """Once all have ended."""
    if done == total:
        return f"All {total} are done."
    others = [State.FAILED, State.ERRORED, State.LOST, State.CANCELLED]
    said = ", ".join(f"{count[state]} {state.value}" for state in others if count.get(state))
    return f"{done} of {total} are done; {said}."


def _tallies(groups: Sequence[int]) -> dict[int, list[Tally]]:
    """Of each group, in one query."""
    rows = (
        Job.objects.filter(parent__in=groups)
        .order_by()
        .values("parent_id", "state")
        .annotate(
            count=Count("pk"),
            reached=Sum("progress"),
            cancelling=Count("pk", filter=Q(cancel_asked=True)),
            began=Min("started_at"),
            ended=Max("ended_at"),
        )
    )
    found: dict[int, list[Tally]] = {}
    for row in rows:
        tally = Tally(
            State(row["state"]),
            row["count"],
            row["reached"],
            row["cancelling"],
            cast("datetime | None", row["began"]),
            cast("datetime | None", row["ended"]),
        )
        found.setdefault(row["parent_id"], []).append(tally)
    return found


def _fill(job: Job, shown: GroupState) -> None:
    job.state, job.progress, job.phase = shown.state, shown.progress, shown.phase
    job.sentence, job.cancel_asked = shown.sentence, shown.cancel_asked
    job.started_at, job.ended_at = shown.started_at, shown.ended_at

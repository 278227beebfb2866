"""The last four weeks of each virtual disk, from generations, jobs and due runs."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from uuid import UUID

from django.utils import timezone

from backups.models import Generation, GenerationDisk, PolicyRun
from backups.rules.coverage.days import SHOWN, Day, Failure, Happened, strip
from backups.selectors.coverage.coverage import CoverageRow
from labpanel.jobs.models import Job
from labpanel.jobs.states import State

Place = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class _Read:
    """What the tables say of the time shown, by disk or by VM."""

    copied: dict[Place, set[date]] = field(default_factory=lambda: defaultdict(set))
    damaged: dict[Place, set[date]] = field(default_factory=lambda: defaultdict(set))
    kept: dict[UUID, set[date]] = field(default_factory=lambda: defaultdict(set))
    done: dict[UUID, set[date]] = field(default_factory=lambda: defaultdict(set))
    failed: dict[UUID, dict[date, Failure]] = field(default_factory=lambda: defaultdict(dict))
    missed: dict[UUID, set[date]] = field(default_factory=lambda: defaultdict(set))


def days_of(rows: Iterable[CoverageRow], now: datetime) -> dict[Place, list[Day]]:
    """A strip for each row, by (VM's UUID, target); four queries."""
    today = timezone.localdate(now)
    begin = timezone.make_aware(datetime.combine(today - timedelta(days=SHOWN - 1), time()))
    read = _Read()
    _read_generations(read, begin)
    _read_jobs(read, begin)
    _read_missed(read, begin)
    return {(row.vm_uuid, row.disk): strip(_happened(read, row), today) for row in rows}


def _read_generations(read: _Read, begin: datetime) -> None:
    """Generations and their disks apart: a year of them has each time and UUID read once."""
    zone = begin.tzinfo
    taken = Generation.objects.filter(taken_at__gte=begin).order_by()
    whose = {
        pk: (uuid, taken_at.astimezone(zone).date(), state == Generation.State.DAMAGED)
        for pk, uuid, taken_at, state in taken.values_list("pk", "vm_uuid", "taken_at", "state")
    }
    for uuid, day, _ in whose.values():
        read.kept[uuid].add(day)
    disks = GenerationDisk.objects.filter(generation__taken_at__gte=begin).order_by()
    for pk, target in disks.values_list("generation", "target"):
        if pk in whose:  # one of this very moment may be missing in the first answer
            uuid, day, damaged = whose[pk]
            (read.damaged if damaged else read.copied)[(uuid, target)].add(day)


def _read_jobs(read: _Read, begin: datetime) -> None:
    """Failed backups with their sentences; done ones for days whose generation is pruned."""
    ended = Job.objects.filter(kind="backup", created_at__gte=begin).exclude(ended_at=None)
    fields = ("pk", "subject", "state", "created_at", "sentence")
    for pk, subject, state, created_at, sentence in ended.order_by("pk").values_list(*fields):
        uuid, day = _uuid(subject), created_at.astimezone(begin.tzinfo).date()
        if uuid is None:
            continue
        if state == State.DONE:
            read.done[uuid].add(day)
        elif state != State.CANCELLED:
            read.failed[uuid][day] = Failure(sentence, pk)


def _read_missed(read: _Read, begin: datetime) -> None:
    runs = PolicyRun.objects.filter(due_at__gte=begin, job=None).order_by()
    for uuid, due_at in runs.values_list("vm__uuid", "due_at"):
        read.missed[uuid].add(due_at.astimezone(begin.tzinfo).date())


def _happened(read: _Read, row: CoverageRow) -> Happened:
    """A run that is done held every disk that was there; where its generation is still known,
    the generation itself says which."""
    since = timezone.localdate(row.known_since) if row.known_since else date.min
    place = (row.vm_uuid, row.disk)
    pruned = read.done[row.vm_uuid] - read.kept[row.vm_uuid]
    return Happened(
        since=since,
        copied=read.copied[place] | {day for day in pruned if day >= since},
        damaged=read.damaged[place],
        failed=read.failed[row.vm_uuid],
        missed=read.missed[row.vm_uuid],
    )


def _uuid(subject: str) -> UUID | None:
    """Of a job's subject, "vm:<uuid>"."""
    try:
        return UUID(subject.removeprefix("vm:"))
    except ValueError:
        return None

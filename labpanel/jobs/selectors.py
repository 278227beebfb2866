"""Jobs, for pages, API and command line alike."""

from dataclasses import asdict, dataclass
from typing import Any

from labpanel.jobs import groups
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.refusal import Refusal

LINES = 500


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the API shows it; `parent` is the number of the group that it belongs to. Times are
    ISO 8601 in UTC, sizes bytes, `seconds_left` may be None where it is not known."""

    id: int
    parent: int | None
    kind: str
    title: str
    subject: str
    state: str
    progress: int
    phase: str
    done_bytes: int
    total_bytes: int
    bytes_per_second: float | None
    seconds_left: int | None
    cancel_asked: bool
    asked_by: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    sentence: str
    result: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class JobLogLine:
    """`at` in ISO 8601."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class JobWithLines(JobRow):
    """A job with its log: the newest LINES of its lines, oldest first."""

    lines: list[JobLogLine]


def recent_jobs(*, active: bool = False, limit: int = 50) -> list[JobRow]:
    """The newest jobs; with `active`, only those that wait or run."""
    found = groups.active() if active else Job.objects.all()
    return [row(job) for job in groups.as_shown(found[:limit])]


def active_jobs_of_vm(uuid: str) -> list[Job]:
    """Active jobs of a VM, by its UUID."""
    return list(Job.objects.filter(subject=f"vm:{uuid}", state__in=ACTIVE))


def find_job(number: int) -> Job:
    """Raises Refusal (404) with the numbers that there are."""
    job = Job.objects.filter(pk=number).first()
    if job is None:
        newest = Job.objects.values_list("pk", flat=True).first()
        hint = f"the newest is {newest}" if newest else "there are none yet"
        raise Refusal(f"There is no job {number}; {hint}.", 404)
    return groups.as_shown([job])[0]


def with_lines(job: Job) -> JobWithLines:
    newest = job.lines.order_by("-pk")[:LINES]
    lines = [JobLogLine(line.at.isoformat(), line.text) for line in reversed(newest)]
    return JobWithLines(**asdict(row(job)), lines=lines)


def row(job: Job) -> JobRow:
    return JobRow(
        id=job.pk,
        parent=job.parent_id,
        kind=job.kind,
        title=job.title,
        subject=job.subject,
        state=job.state,
        progress=job.progress,
        phase=job.phase,
        done_bytes=job.done_bytes,
        total_bytes=job.total_bytes,
        bytes_per_second=job.bytes_per_second,
        seconds_left=seconds_left_of(job),
        cancel_asked=job.cancel_asked,
        asked_by=job.asked_by,
        created_at=job.created_at.isoformat(),
        started_at=job.started_at.isoformat() if job.started_at else None,
        ended_at=job.ended_at.isoformat() if job.ended_at else None,
        sentence=job.sentence,
        result=job.result,
    )


def seconds_left_of(job: Job) -> int | None:
    """At its present speed; None where that is not known."""
    if not job.is_active or not job.bytes_per_second or not job.total_bytes:
        return None
    return round(max(0, job.total_bytes - job.done_bytes) / job.bytes_per_second)

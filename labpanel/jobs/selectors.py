"""Jobs, for pages, API and command line alike."""

from dataclasses import asdict, dataclass
from typing import Any

from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.refusal import Refusal

LINES = 500


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the API shows it. Times are ISO 8601 in UTC, sizes bytes, `seconds_left` may be
    None where it is not known."""

    id: int
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

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def recent_jobs(*, active: bool = False, limit: int = 50) -> list[JobRow]:
    """The newest jobs; with `active`, only those that wait or run."""
    found = Job.objects.filter(state__in=ACTIVE) if active else Job.objects.all()
    return [row(job) for job in found[:limit]]


def active_jobs_of_vm(uuid: str) -> list[Job]:
    """Jobs at work on a VM, by its UUID."""
    return list(Job.objects.filter(subject=f"vm:{uuid}", state__in=ACTIVE))


def find_job(number: int) -> Job:
    """Raises Refusal (404) with the numbers that there are."""
    job = Job.objects.filter(pk=number).first()
    if job is None:
        newest = Job.objects.values_list("pk", flat=True).first()
        hint = f"the newest is {newest}" if newest else "there are none yet"
        raise Refusal(f"There is no job {number}; {hint}.", 404)
    return job


def with_lines(job: Job) -> dict[str, Any]:
    """The job with its log: `lines` [{"at", "text"}], the newest LINES of them, oldest first."""
    newest = job.lines.order_by("-pk")[:LINES]
    lines = [{"at": line.at.isoformat(), "text": line.text} for line in reversed(newest)]
    return {**row(job).as_json(), "lines": lines}


def row(job: Job) -> JobRow:
    return JobRow(
        id=job.pk,
        kind=job.kind,
        title=job.title,
        subject=job.subject,
        state=job.state,
        progress=job.progress,
        phase=job.phase,
        done_bytes=job.done_bytes,
        total_bytes=job.total_bytes,
        bytes_per_second=job.bytes_per_second,
        seconds_left=_seconds_left(job),
        cancel_asked=job.cancel_asked,
        asked_by=job.asked_by,
        created_at=job.created_at.isoformat(),
        started_at=job.started_at.isoformat() if job.started_at else None,
        ended_at=job.ended_at.isoformat() if job.ended_at else None,
        sentence=job.sentence,
        result=job.result,
    )


def _seconds_left(job: Job) -> int | None:
    if not job.is_active or not job.bytes_per_second or not job.total_bytes:
        return None
    return round(max(0, job.total_bytes - job.done_bytes) / job.bytes_per_second)

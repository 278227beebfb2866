"""Doing a claimed job: heart beat, progress, cancelling, and the one place where it ends."""

import logging
import secrets
import time
import traceback
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

from labpanel.adapters import bus
from labpanel.adapters.errors import AdapterError
from labpanel.jobs import ledger
from labpanel.jobs.beat import beating
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.shapes import Progress

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 1
TAKEN = "This job was settled by somebody else while it ran."


class Cancelled(Exception):
    """The user asked to stop; raised by `Work.check` at a step where stopping is safe."""


class Failed(Exception):
    """An expected refusal: what happened to which thing, what to do."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


class Work:
    """What a service sees of the job that it does."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._told_at = 0.0
        self._told: Progress | None = None

    def line(self, text: str) -> None:
        ledger.add_line(self.job.pk, text)

    def progress(self, progress: Progress) -> None:
        """Write progress down, on change and at most once a second."""
        now = time.monotonic()
        same_phase = self._told is not None and self._told.phase == progress.phase
        if progress == self._told or (same_phase and now - self._told_at < PROGRESS_SECONDS):
            return
        self._told, self._told_at = progress, now
        self._held().update(
            progress=progress.percent,
            phase=progress.phase,
            done_bytes=progress.done_bytes,
            total_bytes=progress.total_bytes,
            bytes_per_second=progress.bytes_per_second,
        )
        bus.publish(f"job:{self.job.pk}")

    def remember(self, **facts: Any) -> None:
        """Keep what a settling would need, before the step that makes it needed.

        Raises Failed when the job was taken away: then the step must not be made.
        """
        self.job.state_data = {**self.job.state_data, **facts}
        if not self._held().update(state_data=self.job.state_data):
            raise Failed(TAKEN)

    def check(self) -> None:
        """Stop here if cancelling was asked for, or if the job was taken from this worker."""
        asked = self._held().values_list("cancel_asked", flat=True).first()
        if asked is None:
            raise Failed(TAKEN)
        if asked:
            raise Cancelled

    def _held(self) -> QuerySet[Job]:
        """The job's row, as long as it is this worker's."""
        return Job.objects.filter(pk=self.job.pk, state=State.RUNNING, worker=self.job.worker)


def perform(job_id: int, do: Callable[[Work], dict[str, Any]], done: str = "Done.") -> None:
    """Claim the job, do it under a heart beat, and write down how it ended.

    `do` returns the result; its key "sentence", if any, says how it went.
    """
    worker = secrets.token_hex(8)
    job = ledger.claim(job_id, worker)
    if job is None:
        return
    with beating(job_id, worker):
        _do(job, do, done)


def _do(job: Job, do: Callable[[Work], dict[str, Any]], done: str) -> None:
    try:
        result = do(Work(job))
    except Cancelled:
        _end(job, State.CANCELLED, "Cancelled; nothing half-done counts.")
    except (Failed, AdapterError) as refusal:
        _end(job, State.FAILED, refusal.sentence, detail=refusal.detail)
    except Exception:  # the ledger is the one place where a bug must not go unrecorded
        log.exception("job %s broke", job.pk)
        _end(
            job,
            State.ERRORED,
            f"Something went wrong inside labpanel (job {job.pk}); the log has the details.",
            detail=traceback.format_exc(),
        )
    else:
        sentence = str(result.pop("sentence", done))
        _end(job, State.DONE, sentence, result=result)


def _end(job: Job, state: State, sentence: str, **more: Any) -> None:
    """The one place where a job ends; only the worker that still holds it may end it."""
    if not ledger.finish(job.pk, state, sentence, worker=job.worker, **more):
        log.warning("job %s was settled by somebody else before it was %s", job.pk, state)

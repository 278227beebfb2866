"""Doing a claimed job: heartbeat, progress, cancelling, and the one place where it ends."""

import contextlib
import logging
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, cast

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from labpanel.adapters.errors import AdapterError
from labpanel.adapters.redis import bus
from labpanel.jobs import ledger, obligations
from labpanel.jobs.beat import beating
from labpanel.jobs.models import Job, Obligation
from labpanel.jobs.obligations import Kind, Owed
from labpanel.jobs.states import State
from labpanel.lib.said import Said
from labpanel.lib.shapes import Progress

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 1
TAKEN = "This job was settled elsewhere while it ran."


class Cancelled(Exception):
    """The user asked to stop; raised by `Work.check` at a step where stopping is safe."""


class Failed(Said):
    """An expected refusal: what happened to which thing, what to do."""


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

    def note(self, note: object) -> None:
        """Keep what others read of this job later (notes.py). Raises Failed when the job was taken
        away: then what it says must not be done."""
        self.job.state_data = {**self.job.state_data, **asdict(cast("Any", note))}
        if not self._held().update(state_data=self.job.state_data):
            raise Failed(TAKEN)

    def owe(self, owed: Owed) -> Obligation:
        """Write down what is owed, before the step that would leave it behind.

        Raises Failed when the job was taken away: then the step must not be made.
        """
        with self._mine():
            return obligations.write(self.job, owed)

    def owe_more(self, row: Obligation, owed: Owed) -> None:
        """The same obligation with more to undo, before the step that adds it. Raises Failed."""
        with self._mine():
            Obligation.objects.filter(pk=row.pk).update(data=asdict(owed))

    def owes(self, kind: type[Kind]) -> list[tuple[Obligation, Kind]]:
        """What the job owes of one kind, oldest first."""
        return obligations.owed_by(self.job, kind)

    def no_longer_owes(self, kind: type[Owed]) -> None:
        """All that it owed of one kind is undone, or is to stay."""
        obligations.mark_all_paid(self.job, kind)

    def check(self) -> None:
        """Stop here if cancelling was asked for, or if the job was taken from this worker."""
        asked = self._held().values_list("cancel_asked", flat=True).first()
        if asked is None:
            raise Failed(TAKEN)
        if asked:
            raise Cancelled

    @contextlib.contextmanager
    def _mine(self) -> Iterator[None]:
        """Inside, no reaper takes the job: the row is written first, and so locked."""
        with transaction.atomic():
            if not self._held().update(beat_at=timezone.now()):
                raise Failed(TAKEN)
            yield

    def _held(self) -> QuerySet[Job]:
        """The job's row, as long as it is this worker's."""
        return Job.objects.filter(pk=self.job.pk, state=State.RUNNING, worker=self.job.worker)


def perform(
    job_id: int,
    do: Callable[[Work], dict[str, Any]],
    done: str = "Done.",
    *,
    last: Callable[[Work], None] | None = None,
) -> None:
    """Claim the job, do it under a heartbeat, and write down how it ended.

    `do` returns the result; its key "sentence", if any, says how it went. `last` is called after
    it, whatever came of it, and before the job counts as ended.
    """
    worker = secrets.token_hex(8)
    job = ledger.claim(job_id, worker)
    if job is None:
        return
    with beating(job_id, worker):
        _do(job, do if last is None else _followed(do, last), done)


def _followed(
    do: Callable[[Work], dict[str, Any]], last: Callable[[Work], None]
) -> Callable[[Work], dict[str, Any]]:
    def both(work: Work) -> dict[str, Any]:
        try:
            return do(work)
        finally:
            last(work)

    return both


def _do(job: Job, do: Callable[[Work], dict[str, Any]], done: str) -> None:
    try:
        result = do(Work(job))
    except Cancelled:
        _end(job, State.CANCELLED, "Cancelled. Nothing that it had begun is used.")
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
        log.warning("job %s was settled elsewhere before it was %s", job.pk, state)

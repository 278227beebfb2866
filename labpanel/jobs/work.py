"""Doing a claimed job: heart beat, progress, cancelling, and the one place where it ends."""

import logging
import secrets
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from django.db import close_old_connections
from django.utils import timezone

from labpanel.adapters import bus
from labpanel.adapters.errors import AdapterError
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.shapes import Progress

log = logging.getLogger(__name__)
BEAT_SECONDS = 5
PROGRESS_SECONDS = 1


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
        Job.objects.filter(pk=self.job.pk).update(
            progress=progress.percent,
            phase=progress.phase,
            done_bytes=progress.done_bytes,
            total_bytes=progress.total_bytes,
            bytes_per_second=progress.bytes_per_second,
        )
        bus.publish(f"job:{self.job.pk}")

    def remember(self, **facts: Any) -> None:
        """Keep what a settling would need, before the step that makes it needed."""
        self.job.state_data = {**self.job.state_data, **facts}
        Job.objects.filter(pk=self.job.pk).update(state_data=self.job.state_data)

    def check(self) -> None:
        """Stop here if cancelling was asked for, or if the job was taken from this worker."""
        row = Job.objects.filter(pk=self.job.pk).values("cancel_asked", "state", "worker").first()
        if row is None or row["state"] != State.RUNNING or row["worker"] != self.job.worker:
            raise Failed("This job was settled by somebody else while it ran.")
        if row["cancel_asked"]:
            raise Cancelled


def perform(job_id: int, do: Callable[[Work], dict[str, Any]], done: str = "Done.") -> None:
    """Claim the job, do it under a heart beat, and write down how it ended.

    `do` returns the result; its key "sentence", if any, says how it went.
    """
    worker = secrets.token_hex(8)
    job = ledger.claim(job_id, worker)
    if job is None:
        return
    stop = threading.Event()
    threading.Thread(target=_beat, args=(job_id, worker, stop), daemon=True).start()
    try:
        result = do(Work(job))
        sentence = str(result.pop("sentence", done))
        ledger.finish(job_id, State.DONE, sentence, worker=worker, result=result)
    except Cancelled:
        ledger.finish(
            job_id, State.CANCELLED, "Cancelled; nothing half-done counts.", worker=worker
        )
    except (Failed, AdapterError) as refusal:
        ledger.finish(job_id, State.FAILED, refusal.sentence, worker=worker, detail=refusal.detail)
    except Exception:  # the ledger is the one place where a bug must not go unrecorded
        log.exception("job %s broke", job_id)
        ledger.finish(
            job_id,
            State.ERRORED,
            f"Something went wrong inside labpanel (job {job_id}); the log has the details.",
            worker=worker,
            detail=traceback.format_exc(),
        )
    finally:
        stop.set()


def _beat(job_id: int, worker: str, stop: threading.Event) -> None:
    while not stop.wait(BEAT_SECONDS):
        Job.objects.filter(pk=job_id, worker=worker, state=State.RUNNING).update(
            beat_at=timezone.now()
        )
    close_old_connections()

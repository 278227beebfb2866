"""Opening, claiming and ending jobs. All state changes are conditional updates: the process that
changes no row has lost the race and leaves quietly."""

import functools
import importlib
import logging
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from labpanel.adapters.redis import bus
from labpanel.celery import app
from labpanel.jobs.kinds import GROUP, KINDS
from labpanel.jobs.models import Job, JobLine
from labpanel.jobs.obligations import forget_paid, pay_all
from labpanel.jobs.states import ACTIVE, State
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.printable import printable
from labpanel.lib.said import Said

log = logging.getLogger(__name__)


class Busy(Said):
    """Another job holds the same lock key. `job` is that job."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"This is already being worked on: {job.title} (job {job.pk}).")
        self.job = job


def open_job(
    kind: str,
    title: str,
    *,
    subject: str = "",
    lock_key: str = "",
    asked_by: Actor = PANEL,
    parameters: dict[str, Any] | None = None,
) -> Job:
    """Write the job down and send it on commit. Raises Busy if its lock is held."""
    fields = {
        "kind": kind,
        "title": printable(title),
        "subject": subject,
        "lock_key": lock_key,
        "asked_by": str(asked_by),
        "parameters": parameters or {},
    }
    while True:
        try:
            with transaction.atomic():
                job = Job.objects.create(**fields)
        except IntegrityError:
            if not lock_key:  # then it was not the lock that refused
                raise
            holder = Job.objects.filter(lock_key=lock_key, state__in=ACTIVE).first()
            if holder is not None:
                raise Busy(holder) from None
            continue  # it ended between our try and this look
        transaction.on_commit(functools.partial(send, job))
        return job


def send(job: Job) -> None:
    """Tell a worker. If the broker is away the job stays waiting and the reaper sends it again."""
    kind = KINDS[job.kind]
    try:
        app.send_task(kind.task, args=[job.pk], queue=kind.queue)
    except OperationalError as error:
        log.warning("job %s cannot be sent yet: %s", job.pk, error)
    Job.objects.filter(pk=job.pk, state=State.WAITING).update(beat_at=timezone.now())
    bus.publish("jobs")


def claim(job_id: int, worker: str) -> Job | None:
    """Take a waiting job for `worker`; None if another worker has it or it was cancelled."""
    now = timezone.now()
    changed = Job.objects.filter(pk=job_id, state=State.WAITING).update(
        state=State.RUNNING, worker=worker, started_at=now, beat_at=now
    )
    return Job.objects.get(pk=job_id) if changed else None


def add_line(job_id: int, text: str) -> None:
    JobLine.objects.create(job_id=job_id, text=printable(text))
    bus.publish(f"job:{job_id}")


def finish(
    job_id: int,
    state: State,
    sentence: str,
    *,
    worker: str = "",
    detail: str = "",
    result: dict[str, Any] | None = None,
    now: datetime | None = None,
) -> bool:
    """End an active job once. With `worker`, only if that worker still holds it."""
    sentence = printable(sentence)
    active = Job.objects.filter(pk=job_id, state__in=ACTIVE)
    if worker:
        active = active.filter(worker=worker)
    fields: dict[str, Any] = {
        "state": state,
        "sentence": sentence,
        "detail": detail,
        "result": result,
        "ended_at": now or timezone.now(),
        "bytes_per_second": None,
    }
    if state == State.DONE:
        fields["progress"] = 100
    changed = bool(active.update(**fields))
    if changed:
        forget_paid([Job(pk=job_id)])
        add_line(job_id, sentence)
        bus.publish("jobs")
    return changed


def ask_to_cancel(job: Job) -> bool:
    """A waiting job ends at once; a running one at its next step; of a group, each that has not
    ended. False if it had ended."""
    if job.kind == GROUP:
        active = Job.objects.filter(parent=job.pk, state__in=ACTIVE)
        each = [ask_to_cancel(child) for child in active]
        return any(each)
    if Job.objects.filter(pk=job.pk, state=State.WAITING).update(
        state=State.CANCELLED, sentence="Cancelled before it began.", ended_at=timezone.now()
    ):
        add_line(job.pk, "Cancelled before it began.")
        bus.publish("jobs")
        return True
    asked = Job.objects.filter(pk=job.pk, state=State.RUNNING).update(cancel_asked=True)
    if asked:
        add_line(job.pk, "Cancelling was asked for.")
    return bool(asked)


def settle(job: Job) -> str:
    """Pay what a job owes whose worker died, and ask the hosts what is true of it; the sentence
    that says so. Raises AdapterError while a host does not answer."""
    pay_all(job)
    module, _, function = KINDS[job.kind].settle.rpartition(".")
    sentence: str = getattr(importlib.import_module(module), function)(job)
    return sentence

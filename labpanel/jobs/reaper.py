"""Finding jobs whose worker died, and settling them with what the hosts say."""

import logging
from datetime import datetime, timedelta

from django.db.models import Q

from labpanel.adapters.errors import AdapterError
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.states import State

log = logging.getLogger(__name__)
SILENT_SECONDS = 30
UNSENT_SECONDS = 60


def reap(now: datetime) -> list[Job]:
    """Settle every running job that has not beaten for SILENT_SECONDS.

    The lock stays held while the hosts are asked: the claim goes to the reaper first. A host that
    does not answer leaves the job running, for the next turn.
    """
    silent = now - timedelta(seconds=SILENT_SECONDS)
    settled = []
    for job in Job.objects.filter(state=State.RUNNING, beat_at__lt=silent):
        taken = Job.objects.filter(pk=job.pk, worker=job.worker, beat_at=job.beat_at).update(
            worker=f"reaper-{job.pk}", beat_at=now
        )
        if taken and _settle(job):
            settled.append(job)
    _send_again(now)
    return settled


def _settle(job: Job) -> bool:
    try:
        sentence = ledger.settle(job)
    except AdapterError as error:
        log.warning("job %s cannot be settled yet: %s", job.pk, error.sentence)
        ledger.add_line(job.pk, f"Its worker died; settling waits: {error.sentence}")
        return False
    return ledger.finish(job.pk, State.LOST, sentence)


def _send_again(now: datetime) -> None:
    """Waiting jobs whose message was lost with the broker; claiming makes a second one harmless."""
    old = Q(created_at__lt=now - timedelta(seconds=UNSENT_SECONDS))
    for job in Job.objects.filter(old, state=State.WAITING):
        ledger.send(job)

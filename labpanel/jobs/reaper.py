"""Finding jobs whose worker died, and settling them with what the hosts say."""

import logging
import secrets
import traceback
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.db.models import Q

from labpanel.adapters.errors import AdapterError
from labpanel.clock.services.steady import steady
from labpanel.jobs import ledger
from labpanel.jobs.beat import beating
from labpanel.jobs.kinds import GROUP
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.jobs.work import Failed
from labpanel.lib import tempo

log = logging.getLogger(__name__)
SILENT_SECONDS = tempo.NOW.job_silent
UNSENT_SECONDS = tempo.NOW.job_unsent


def reap(now: datetime) -> list[Job]:
    """Settle every running job that has not beaten for SILENT_SECONDS.

    The lock stays held while the hosts are asked: the claim goes to the reaper first, and the
    reaper beats, so that no second one begins. A host that does not answer leaves the job
    running, for a later turn. Right after a step of the clock no beat means anything: who lives
    has beaten by the new time a turn later. A beat dated ahead is then as silent as an old one.
    """
    _send_again(now)
    if not steady():
        return []
    settled = []
    running = Job.objects.filter(state=State.RUNNING).exclude(kind=GROUP)
    for job in running.filter(_away_from(now, SILENT_SECONDS)):
        if _settle(job, now):
            settled.append(job)
    return settled


def _settle(job: Job, now: datetime) -> bool:
    me = f"reaper-{secrets.token_hex(8)}"
    mine = Job.objects.filter(
        pk=job.pk, worker=job.worker, beat_at=job.beat_at, state=State.RUNNING
    ).update(worker=me, beat_at=now)
    if not mine:
        return False
    with beating(job.pk, me):
        try:
            state, sentence, detail = State.LOST, ledger.settle(job), ""
        except (AdapterError, Failed, DatabaseError) as error:
            _wait(job, str(error))
            return False
        except Exception:  # a bug in a settling must neither hide nor hold the lock for ever
            log.exception("job %s cannot be settled", job.pk)
            state, detail = State.ERRORED, traceback.format_exc()
            sentence = (
                f"Its worker died, and cleaning up failed inside labpanel (job {job.pk}): "
                "look at the hosts yourself before you try again; the log has the details."
            )
        return ledger.finish(job.pk, state, sentence, worker=me, detail=detail)


def _wait(job: Job, why: str) -> None:
    """Say why it is not settled yet, once for each reason."""
    log.warning("job %s cannot be settled yet: %s", job.pk, why)
    text = f"Its worker died; settling waits: {why}"
    last = job.lines.order_by("-pk").values_list("text", flat=True).first()
    if last != text:
        ledger.add_line(job.pk, text)


def _send_again(now: datetime) -> None:
    """Waiting jobs whose message was lost with the broker; claiming makes a second one harmless."""
    before = now - timedelta(seconds=UNSENT_SECONDS)
    unsent = Q(beat_at=None, created_at__lt=before) | _away_from(now, UNSENT_SECONDS)
    for job in Job.objects.filter(unsent, state=State.WAITING):
        ledger.send(job)


def _away_from(now: datetime, seconds: float) -> Q:
    """Beats that are not within so many seconds of now, on either side."""
    away = timedelta(seconds=seconds)
    return Q(beat_at__lt=now - away) | Q(beat_at__gt=now + away)

"""The heartbeat by which a worker shows that it still runs a job."""

import contextlib
import logging
import threading
from collections.abc import Iterator

from django.db import DatabaseError, connections
from django.utils import timezone

from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib import tempo

BEAT_SECONDS = tempo.NOW.job_beat
log = logging.getLogger(__name__)


@contextlib.contextmanager
def beating(job_id: int, worker: str) -> Iterator[None]:
    """While inside, the job's `beat_at` is kept fresh, as long as `worker` holds it."""
    stop = threading.Event()
    thread = threading.Thread(target=_beat, args=(job_id, worker, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=BEAT_SECONDS)


def _beat(job_id: int, worker: str, stop: threading.Event) -> None:
    held = Job.objects.filter(pk=job_id, worker=worker, state=State.RUNNING)
    try:
        while not stop.wait(BEAT_SECONDS):
            try:
                held.update(beat_at=timezone.now())
            except DatabaseError as error:
                # One lost beat is nothing; a beat that gives up would have the job settled
                # while it is still being worked on.
                log.warning("a beat of job %s was lost: %s", job_id, error)
    finally:
        connections.close_all()

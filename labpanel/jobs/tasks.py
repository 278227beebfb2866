"""The ledger's own turn."""

from django.utils import timezone

from labpanel.celery import app
from labpanel.jobs import reaper


@app.task(name="labpanel.jobs.tasks.reap", time_limit=120)
def reap() -> None:
    reaper.reap(timezone.now())

"""The ledger's own turns."""

from django.utils import timezone

from labpanel.celery import app
from labpanel.jobs import reaper, settling


@app.task(name="labpanel.jobs.tasks.reap")
def reap() -> None:
    reaper.reap(timezone.now())


@app.task(name="labpanel.jobs.tasks.settle")
def settle() -> None:
    """Send a task for each host, so that none waits for another."""
    for host in settling.hosts_owed(timezone.now()):
        app.send_task("labpanel.jobs.tasks.settle_host", [host], queue="quick", expires=14)


@app.task(name="labpanel.jobs.tasks.settle_host")
def settle_host(host: int | None) -> None:
    settling.settle_host(host, timezone.now())

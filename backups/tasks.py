"""Celery's doors to the services of this app."""

from django.utils import timezone

from backups.services import look_at_stores as looking
from backups.services import settle
from backups.services.back_up import back_up as do_back_up
from backups.services.make_way import make_way_for_snapshots as do_make_way
from backups.services.mend import mend as do_mend
from backups.services.policy_turn import policy_turn
from backups.services.prune import prune as do_prune
from backups.services.rehearse import rehearse as do_rehearse
from backups.services.restore import restore as do_restore
from backups.services.run_instant import run_instant as do_run_instant
from backups.services.tend_instant import tend_instant as turn_of_instant
from backups.services.verify import verify as do_verify
from labpanel.celery import app
from labpanel.jobs import work


@app.task(name="backups.tasks.back_up")
def back_up(job_id: int) -> None:
    work.perform(job_id, do_back_up)
    _look_for_more()


@app.task(name="backups.tasks.verify")
def verify(job_id: int) -> None:
    work.perform(job_id, do_verify)
    _look_for_more()


@app.task(name="backups.tasks.mend")
def mend(job_id: int) -> None:
    work.perform(job_id, do_mend)


@app.task(name="backups.tasks.rehearse")
def rehearse(job_id: int) -> None:
    work.perform(job_id, do_rehearse)
    _look_for_more()


@app.task(name="backups.tasks.prune")
def prune(job_id: int) -> None:
    work.perform(job_id, do_prune)
    _look_for_more()


@app.task(name="backups.tasks.restore")
def restore(job_id: int) -> None:
    work.perform(job_id, do_restore)
    # The restored VM is listed at once, not at the next turn.
    app.send_task("hosts.tasks.probe_all", queue="quick", expires=14)


@app.task(name="backups.tasks.run_instant")
def run_instant(job_id: int) -> None:
    work.perform(job_id, do_run_instant)
    app.send_task("hosts.tasks.probe_all", queue="quick", expires=14)
    app.send_task("backups.tasks.tend_instant", queue="quick", expires=14)


@app.task(name="backups.tasks.tend_instant", time_limit=120)
def tend_instant() -> None:
    turn_of_instant()


@app.task(name="backups.tasks.look_at_stores", time_limit=110)
def look_at_stores() -> None:
    looking.look_at_stores()
    settle.close_leftovers(timezone.now())


@app.task(name="backups.tasks.make_way_for_snapshots", time_limit=110)
def make_way_for_snapshots() -> None:
    do_make_way(timezone.now())


@app.task(name="backups.tasks.run_policies", time_limit=50)
def run_policies() -> None:
    policy_turn(timezone.now())


def _look_for_more() -> None:
    """What waited for this job to end need not wait for the next minute."""
    app.send_task("backups.tasks.run_policies", queue="quick", expires=50)

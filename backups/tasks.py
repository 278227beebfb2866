"""Celery tasks: each calls one service of this app."""

from django.utils import timezone

from backups.services.backup.back_up import back_up as do_back_up
from backups.services.backup.drop_checkpoints_for_snapshots import (
    make_way_for_snapshots as do_make_way,
)
from backups.services.index import failed_work
from backups.services.instant.run_instant import run_instant as do_run_instant
from backups.services.instant.tend_instant import tend_instant as turn_of_instant
from backups.services.made_vms.remove_vm import remove_vm as do_remove_vm
from backups.services.policies.schedule_all import policy_turn
from backups.services.proof.mend import mend as do_mend
from backups.services.proof.verify import verify as do_verify
from backups.services.prune.prune import prune as do_prune
from backups.services.rehearsal.rehearse import rehearse as do_rehearse
from backups.services.restore.restore import restore as do_restore
from backups.services.stores import look_at_stores as looking
from hosts.services.vms.list_at_end import list_at_end
from labpanel.celery import app
from labpanel.jobs import work


@app.task(name="backups.tasks.back_up")
def back_up(job_id: int) -> None:
    work.perform(job_id, do_back_up)
    failed_work.note_ended(job_id)
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
    failed_work.note_ended(job_id)
    _look_for_more()


@app.task(name="backups.tasks.prune")
def prune(job_id: int) -> None:
    work.perform(job_id, do_prune)
    _look_for_more()


@app.task(name="backups.tasks.restore")
def restore(job_id: int) -> None:
    work.perform(job_id, do_restore, last=list_at_end)


@app.task(name="backups.tasks.remove_vm")
def remove_vm(job_id: int) -> None:
    work.perform(job_id, do_remove_vm)


@app.task(name="backups.tasks.run_instant")
def run_instant(job_id: int) -> None:
    work.perform(job_id, do_run_instant, last=list_at_end)
    app.send_task("backups.tasks.tend_instant", queue="quick", expires=14)


@app.task(name="backups.tasks.tend_instant", again=True)
def tend_instant() -> None:
    turn_of_instant()


@app.task(name="backups.tasks.look_at_stores")
def look_at_stores() -> None:
    looking.look_at_stores()


@app.task(name="backups.tasks.make_way_for_snapshots")
def make_way_for_snapshots() -> None:
    do_make_way(timezone.now())


@app.task(name="backups.tasks.run_policies", again=True)
def run_policies() -> None:
    policy_turn(timezone.now())


def _look_for_more() -> None:
    """What waited for this job to end need not wait for the next minute."""
    app.send_task("backups.tasks.run_policies", queue="quick", expires=50)

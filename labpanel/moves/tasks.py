"""Celery tasks of moves."""

from labpanel.celery import app
from labpanel.jobs import work
from labpanel.moves.services.move import move as do_move


@app.task(name="labpanel.moves.tasks.move")
def move(job_id: int) -> None:
    work.perform(job_id, do_move)

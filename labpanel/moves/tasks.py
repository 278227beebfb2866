"""Celery's doors to moving."""

from labpanel.celery import app
from labpanel.jobs import work
from labpanel.moves.services import settle
from labpanel.moves.services.move import move as do_move


@app.task(name="labpanel.moves.tasks.move")
def move(job_id: int) -> None:
    work.perform(job_id, do_move)


@app.task(name="labpanel.moves.tasks.settle_open", time_limit=300)
def settle_open() -> None:
    settle.settle_open()

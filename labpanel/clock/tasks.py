"""The clock's own turn."""

from labpanel.celery import app
from labpanel.clock.services.look import look


@app.task(name="labpanel.clock.tasks.look")
def watch_clock() -> None:
    look()

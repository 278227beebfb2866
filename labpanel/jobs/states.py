"""The states of a job, and their groups."""

from django.db import models


class State(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # an expected refusal, with its sentence
    ERRORED = "errored"  # a bug, with its traceback
    CANCELLED = "cancelled"
    LOST = "lost"  # its worker died; settled by asking the hosts


ACTIVE = (State.WAITING, State.RUNNING)
FINAL = (State.DONE, State.FAILED, State.ERRORED, State.CANCELLED, State.LOST)

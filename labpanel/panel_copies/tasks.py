"""Celery tasks of the panel's copies."""

from django.utils import timezone

from labpanel.celery import app
from labpanel.panel_copies.services import copy_daily as daily
from labpanel.panel_copies.state import panel_state


@app.task(name="labpanel.panel_copies.tasks.copy_daily")
def copy_daily() -> None:
    daily.copy_daily(panel_state(), timezone.now())

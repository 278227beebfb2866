"""Bring a VM back elsewhere whose host cannot be relied on: what the confirmation page asks for."""

from backups.models import Generation
from backups.rules.restore.bring_back_words import CHOICES, KEEP_OFF, STOP
from backups.services.restore.ask_restore import RestoreRequest, ask_for_restore
from hosts.models import Host
from labpanel.jobs.models import Job
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.refusal import Refusal


def bring_back(copy: Generation, host: Host, choice: str, *, asked_by: Actor = PANEL) -> Job:
    """Open the job. Raises Refusal or Busy."""
    if choice not in CHOICES:
        raise Refusal("Say whether it is to run, and what becomes of the one that is there.")
    runs = choice != KEEP_OFF
    wish = RestoreRequest(instant=runs, start=runs, stop=choice == STOP, successor=True)
    return ask_for_restore(copy, host, wish, asked_by=asked_by)

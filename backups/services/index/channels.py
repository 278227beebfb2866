"""The SSH connections that a job makes for itself, so that bulk data delays nothing else."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from backups.models import Store
from hosts.models import Host
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.nbd_relay import end_channel, private_machine
from labpanel.jobs.models import Job
from labpanel.jobs.obligations import mark_paid
from labpanel.jobs.work import Work
from labpanel.lib.shapes import PANEL


@dataclass(frozen=True, slots=True)
class Channel:
    """The job's own connection to a host, with its forwards and with what runs over it."""

    KIND: ClassVar[str] = "channel"
    host: int | None

    def pay(self, job: Job) -> str:
        endpoint = PANEL if self.host is None else Host.objects.get(pk=self.host).endpoint()
        end_channel(Machine(endpoint, _name(job)))
        return ""


@contextlib.contextmanager
def job_machine(work: Work, place: Host | Store) -> Iterator[Machine]:
    """The host, or the machine that holds the store, over a connection that only this job uses; it
    is gone afterwards."""
    row = work.owe(Channel(place.host_id if isinstance(place, Store) else place.pk))
    try:
        with private_machine(place.endpoint(), _name(work.job)) as machine:
            yield machine
    finally:
        mark_paid(row)


def _name(job: Job) -> str:
    return f"job-{job.pk}"

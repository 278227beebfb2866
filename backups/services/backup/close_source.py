"""At the end of a run: pay what it owes its source's host, over the connections at hand."""

from collections.abc import Callable
from functools import partial

from backups.services.backup.end_backup import thaw
from backups.services.backup.owed import FrozenGuest, OpenBackup
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.jobs.models import Obligation
from labpanel.jobs.obligations import mark_paid
from labpanel.jobs.work import Work


def close_source(work: Work, hypervisor: BacksUp, images: ImageHost) -> None:
    """Thaw first, then end the backup job. Each is tried; the first trouble is raised at the end,
    and what is still owed then a later turn pays."""
    troubles: list[AdapterError] = []

    def attempt(row: Obligation, undo: Callable[[], bool]) -> None:
        try:
            if undo():
                mark_paid(row)
        except AdapterError as error:
            troubles.append(error)

    for row, frozen in work.owes(FrozenGuest):
        attempt(row, partial(thaw, hypervisor, frozen.uuid))
    for row, left in work.owes(OpenBackup):
        attempt(row, partial(left.end, hypervisor, images))
    if troubles:
        raise troubles[0]

"""Jobs whose worker died: ask the hosts what is true, clean up, and say it in one sentence.

An unreachable host raises an AdapterError: the reaper comes again.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from backups.models import Generation, Store
from backups.services import checkpoints, settle_restore
from backups.services.closing import close_source
from backups.services.identity import panel_id
from backups.services.index_generation import index_generation
from backups.services.settle_rehearsal import clear as clear_rehearsal
from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import opened
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.machine import Machine
from labpanel.adapters.nbd_relay import end_channel
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs.models import Job
from labpanel.jobs.states import FINAL

log = logging.getLogger(__name__)
LEFT_FOR = timedelta(days=30)
_UNTOUCHED = "The worker died before anything was begun; nothing is left to clean up."


def backup(job: Job) -> str:
    """Thaw first, then end our backup job, then look what the store holds."""
    left = job.state_data
    if "key" not in left:
        return _UNTOUCHED
    host = Host.objects.get(pk=left["host"])
    close_channel(job, host)
    if "socket" in left or "staging" in left:
        _close_source(job, host)
    store = Store.objects.select_related("host").get(pk=left["store"])
    if store.host is not None:
        close_channel(job, store.host)
    with Keeper(Machine(store.endpoint()), store.path, panel_id(), str(store.store_id)) as keeper:
        keeper.drop(left["vm_uuid"], left["key"])
        manifest = keeper.manifest(left["vm_uuid"], left["key"])
    if manifest is not None:
        generation = index_generation(store, manifest)
    _close_checkpoint(job, host)
    if manifest is not None:
        return f"The worker died at the very end; generation {generation.key} is complete."
    return "The worker died in the middle; the VM was not touched and nothing half-done counts."


def _close_source(job: Job, host: Host) -> None:
    left = job.state_data
    with opened(host.endpoint()) as hypervisor, ImageHost(Machine(host.endpoint())) as images:
        thawed = close_source(hypervisor, images, left["vm_uuid"], left)
    left["owes_thaw"] = not thawed


def _close_checkpoint(job: Job, host: Host) -> None:
    """Known to be needed only once the store was asked whether the generation is complete."""
    if job.state_data.get("checkpoint"):
        with opened(host.endpoint()) as hypervisor:
            checkpoints.settle(hypervisor, job.state_data)


def _close_backup(job: Job, host: Host) -> None:
    left = job.state_data
    if left.get("owes_thaw") or not left.get("closed"):
        _close_source(job, host)
    _close_checkpoint(job, host)


def verify(job: Job) -> str:
    """Nothing to clean up: what read ended with its connection."""
    generation = Generation.objects.select_related("store__host").get(
        key=job.parameters["generation"]
    )
    if generation.store.host is not None:
        close_channel(job, generation.store.host)
    return f"The worker died while it verified {generation.key}; verify it again."


def close_channel(job: Job, host: Host) -> None:
    """End the dead worker's own SSH connection to a host, and its forwards with it."""
    end_channel(Machine(host.endpoint(), f"job-{job.pk}"))


def close_leftovers(now: datetime) -> None:
    """Jobs that ended while a host was away could not clean up there: do it when it is back.

    An open pull backup would go on keeping what the guest overwrites, until its disk is full.
    """
    recent = Job.objects.filter(state__in=FINAL, ended_at__gt=now - LEFT_FOR)
    for job in recent.filter(kind__in=CLOSERS):
        left = job.state_data
        opened_something = {"socket", "staging", "partials", "scratch_folder"} & left.keys()
        owed = not left.get("closed") or left.get("owes_thaw") or left.get("checkpoint")
        if not opened_something or not owed:
            continue
        try:
            CLOSERS[job.kind](job, Host.objects.get(pk=job.state_data["host"]))
        except AdapterError as error:
            log.info("job %s still has something open: %s", job.pk, error.sentence)
            continue
        job.state_data.update(closed=True, checkpoint="")
        job.save(update_fields=["state_data"])


CLOSERS: dict[str, Callable[[Job, Host], None]] = {
    "backup": _close_backup,
    "rehearse": clear_rehearsal,
    "restore": settle_restore.tidy,
}

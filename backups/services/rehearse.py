"""Rehearse a generation: boot it on a host, isolated, over its own copies, and look (level 3).

Nothing of it can reach the network or the store: the domain has no network card, its disks are
overlays on scratch over NBD exports that are open for reading only, and libvirt destroys it when
the panel's connection ends in any way.
"""

import contextlib
from dataclasses import asdict
from typing import Any

from backups.models import Generation
from backups.services.identity import panel_id
from backups.services.rehearsal_ground import candidates, prepared
from backups.services.rehearsal_run import Run
from backups.services.settle import close_channel
from backups.services.settle_rehearsal import clear
from hosts.models import Host
from labpanel.adapters.nbd_relay import private_machine
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal


def ask_for_rehearsal(generation: Generation, host: Host | None = None, asked_by: str = "") -> Job:
    """Open the job. Without a host the panel chooses one when it begins. Raises Refusal or Busy."""
    if generation.state != Generation.State.COMPLETE:
        why = generation.damage or f"it is gone from the store {generation.store.name}"
        raise Refusal(f"{generation.key} cannot be rehearsed: {why.rstrip('.')}.", 409)
    where = f" on {host.name}" if host else ""
    return ledger.open_job(
        "rehearse",
        f"Rehearse {generation.key} of {generation.vm_name}{where}",
        subject=f"generation:{generation.key}",
        lock_key=f"rehearse:{generation.vm_uuid}",
        asked_by=asked_by,
        parameters={"generation": generation.key, "host": host.pk if host else None},
    )


def rehearse(work: Work) -> dict[str, Any]:
    """Do the job. What was seen is written down, whatever it was; a copy that did not pass ends
    the job as failed, with the first thing that is wrong."""
    asked = work.job.parameters
    found = Generation.objects.select_related("store__host", "vm__host")
    generation = found.get(key=asked["generation"])
    host = Host.objects.get(pk=asked["host"]) if asked["host"] else None
    store = generation.store
    with contextlib.ExitStack() as stack:
        hosts = candidates(generation, host)
        here = stack.enter_context(private_machine(store.endpoint(), f"job-{work.job.pk}"))
        keeper = stack.enter_context(Keeper(here, store.path, panel_id(), str(store.store_id)))
        keeper.lock(str(generation.vm_uuid), exclusive=False)
        run = Run(work, generation, keeper)
        ground = stack.enter_context(prepared(work, hosts, generation, run.xml))
        outcome = run.do(ground)
    work.remember(closed=True)
    if not outcome.passed:
        raise Failed(outcome.sentence)
    return {
        "generation": generation.key,
        "vm": generation.vm_name,
        "host": ground.host.name,
        "passed": True,
        "checks": [asdict(check) for check in outcome.checks],
        "sentence": outcome.sentence,
    }


def settle(job: Job) -> str:
    """Whatever is left of a dead worker's rehearsal goes: the domain, overlays and sockets."""
    left = job.state_data
    generation = Generation.objects.select_related("store__host").get(
        key=job.parameters["generation"]
    )
    again = f"rehearse {generation.key} again"
    if generation.store.host is not None:
        close_channel(job, generation.store.host)
    if "host" not in left:
        return f"The worker died before anything was booted; {again}."
    host = Host.objects.get(pk=left["host"])
    close_channel(job, host)
    clear(job, host)
    return f"The worker died in the middle; nothing is left on {host.name}, {again}."

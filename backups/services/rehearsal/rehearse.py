"""Rehearse a generation: boot it on a host, isolated, over its own copies, and look (level 3).

Nothing of it can reach the network or the store: the domain has no network card, its disks are
overlays on scratch over NBD exports that are open for reading only, and libvirt destroys it when
the panel's connection ends in any way.
"""

import contextlib
from dataclasses import asdict
from typing import Any

from backups.models import Generation
from backups.rules.copies.trust import refused
from backups.selectors.copies.naming import called
from backups.services.index import failed_work
from backups.services.index.channels import job_machine
from backups.services.index.identity import panel_id
from backups.services.rehearsal.host import candidates, prepared
from backups.services.rehearsal.run import RehearsalRun
from backups.services.rehearsal.settle import OpenRehearsal
from hosts.models import Host
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.refusal import Refusal


def ask_for_rehearsal(
    generation: Generation, host: Host | None = None, asked_by: Actor = PANEL
) -> Job:
    """Open the job. Without a host the panel chooses one when it begins. Raises Refusal or Busy."""
    if generation.state != Generation.State.COMPLETE:
        why = generation.damage or f"it is gone from the store {generation.store.name}"
        raise Refusal(f"{generation.key} cannot be rehearsed: {why.rstrip('.')}.", 409)
    if why := refused(generation.trust, generation.key):
        raise Refusal(f"{generation.key} cannot be rehearsed: it {why}.", 409)
    where = f" on {host.name}" if host else ""
    return ledger.open_job(
        "rehearse",
        f"Boot test of {called(generation)}{where}",
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
        here = stack.enter_context(job_machine(work, store))
        keeper = stack.enter_context(Keeper(here, store.path, panel_id(), str(store.store_id)))
        keeper.lock(str(generation.vm_uuid), exclusive=False)
        run = RehearsalRun(work, generation, keeper)
        place = stack.enter_context(prepared(work, hosts, generation, run.xml))
        outcome = run.do(place)
    work.no_longer_owes(OpenRehearsal)
    if not outcome.passed:
        raise Failed(outcome.sentence)
    return {
        "generation": generation.key,
        "vm": generation.vm_name,
        "host": place.host.name,
        "passed": True,
        "checks": [asdict(check) for check in outcome.checks],
        "sentence": outcome.sentence,
    }


def settle(job: Job) -> str:
    """Whatever is left of a dead worker's rehearsal goes: the domain, overlays and sockets."""
    sentence = _settle(job)
    failed_work.note_lost(job, sentence)
    return sentence


def _settle(job: Job) -> str:
    again = f"rehearse {job.parameters['generation']} again"
    begun = job.obligations.filter(kind=OpenRehearsal.KIND).first()
    if begun is None:
        return f"The worker died before anything was booted; {again}."
    host = Host.objects.filter(pk=begun.data["host"]).first()
    where = f"on {host.name}" if host else "there"
    return f"The worker died in the middle; nothing is left {where}, {again}."

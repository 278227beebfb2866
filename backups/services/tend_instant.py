"""Look after VMs that run on blocks of a generation: keep the line, pull the blocks in, and end
what was lent when all are local."""

import logging
from pathlib import Path
from typing import Any

from django.conf import settings

from backups.models import InstantRun
from backups.services.loans import Link, line_of, links_of
from labpanel.adapters import bus, instant_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.file_lock import locked
from labpanel.adapters.hypervisor import pool
from labpanel.jobs import ledger
from labpanel.jobs.states import FINAL

log = logging.getLogger(__name__)
_SHORT = 15
_DEFINE_SECONDS = 60
_WAIT = 0.1
_PAUSED, _PAUSED_IOERROR = 3, 5  # virDomainState, virDomainPausedReason


def tend_instant() -> list[InstantRun]:
    """One turn; the runs that were looked after."""
    runs = InstantRun.objects.select_related("host", "generation__store__host", "job")
    return [run for run in runs if run.job is None or run.job.state in FINAL if tend(run)]


def tend(run: InstantRun) -> bool:
    """False if another turn is at it. What is out of reach is written down, for the next turn."""
    lock = Path(settings.RUNTIME_DIR) / f"tend-{run.pk}.lock"
    try:
        with locked(lock, _WAIT, f"Looking after {run.vm_name}"):
            error = ""
            try:
                _tend(run)
            except AdapterError as trouble:
                error = trouble.sentence
                log.info("%s runs on borrowed blocks: %s", run.vm_name, trouble.detail or error)
            if run.pk is not None:
                _note(run, error)
    except AdapterError:
        return False
    return True


def _tend(run: InstantRun) -> None:
    facts = _facts(run)
    if not facts["known"]:
        _end(run, f"{run.vm_name} was removed from {run.host.name} before its blocks were local.")
        return
    if not facts["borrowed"]:
        _stand_alone(run, facts["xml"])
        return
    links = [_grown(link, facts) for link in links_of(run)]
    run.links = [link.as_json() for link in links]
    line_of(run).open()
    if facts["active"]:
        _pull(run, facts)


def _facts(run: InstantRun) -> dict[str, Any]:
    """What libvirt says of the VM. QEMU's monitor can hang for as long as a read waits for the
    store, and what it waits for is the line: so that is put back whether libvirt answers or not."""
    try:
        found: dict[str, Any] = pool.call(
            run.host.endpoint(), "borrowed", deadline=_SHORT, uuid=str(run.vm_uuid)
        )
    except AdapterError:
        line_of(run).open()
        raise
    return found


def _grown(link: Link, facts: dict[str, Any]) -> Link:
    """How much of a disk is local, by libvirt's block job; a disk without anything below is."""
    borrowed, jobs = facts["borrowed"], facts["jobs"]
    local = link.local_bytes
    if link.target not in borrowed:
        local = link.total_bytes
    elif link.target in jobs:
        job = jobs[link.target]
        local = link.total_bytes * job["done"] // job["total"] if job["total"] else local
    return Link(**{**link.as_json(), "local_bytes": local})


def _pull(run: InstantRun, facts: dict[str, Any]) -> None:
    endpoint, uuid = run.host.endpoint(), str(run.vm_uuid)
    borrowed, jobs = facts["borrowed"], facts["jobs"]
    if (facts["state"], facts["reason"]) == (_PAUSED, _PAUSED_IOERROR):
        pool.call(endpoint, "resume", deadline=_SHORT, uuid=uuid)
    cap = int(run.job.parameters.get("bytes_per_second") or 0) if run.job else 0
    for target in borrowed:
        if target not in jobs:
            pool.call(
                endpoint, "pull", deadline=_SHORT, uuid=uuid, target=target, bytes_per_second=cap
            )


def _stand_alone(run: InstantRun, xml: str) -> None:
    """Every block is local: a definition that says so, and nothing lent any more."""
    if xml:
        clean = instant_xml.independent(xml, {link.target: link.policies for link in links_of(run)})
        pool.call(run.host.endpoint(), "define", deadline=_DEFINE_SECONDS, xml=clean)
    _end(run, f"{run.vm_name} stands on its own: every block of it is on {run.host.name}.")


def _end(run: InstantRun, sentence: str) -> None:
    """The row goes only when nothing is left on either machine, so that a next turn tries again."""
    left = line_of(run).close()
    if left:
        raise AdapterError(left[0])
    if run.job is not None:
        ledger.add_line(run.job.pk, sentence)
    run.delete()
    bus.publish("inventory")


def _note(run: InstantRun, error: str) -> None:
    if error != run.error and run.job is not None:
        ledger.add_line(run.job.pk, error or f"The line to {run.generation.store.name} is back.")
    run.error = error
    run.save(update_fields=["links", "error"])

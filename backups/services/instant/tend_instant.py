"""Look after VMs that run on blocks of a generation: keep the line, pull the blocks in, and end
what was lent when all are local."""

import logging
from pathlib import Path

from django.conf import settings

from backups.models import InstantRun
from backups.services.instant.persistent_exports import InstantDisk, links_of, remote_backing_of
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.libvirt.hypervisor import pool
from labpanel.adapters.libvirt.uses.borrowing import Borrowed
from labpanel.adapters.libvirt.uses.jobs import Tends
from labpanel.adapters.libvirt.xml import instant_xml
from labpanel.adapters.redis import bus
from labpanel.adapters.ssh.file_lock import locked
from labpanel.jobs import ledger
from labpanel.jobs.models import Obligation
from labpanel.jobs.states import FINAL
from labpanel.lib.vm_state import stopped_by_a_write

log = logging.getLogger(__name__)
_WAIT = 0.1


def tend_instant() -> list[InstantRun]:
    """One turn; the runs that were looked after."""
    runs = InstantRun.objects.select_related("host", "generation__store__host", "job")
    # One that never ran goes another way: its job owes that.
    owing = Obligation.objects.filter(kind="instant", paid_at=None)
    runs = runs.exclude(job__in=owing.values("job"))
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
    libvirt: Tends = pool.of(run.host.endpoint())
    facts = _facts(libvirt, run)
    if facts is None:
        _end(run, f"{run.vm_name} was removed from {run.host.name} before its blocks were local.")
        return
    if not facts.borrowed:
        _stand_alone(libvirt, run, facts.xml)
        return
    links = [_grown(link, facts) for link in links_of(run)]
    run.links = [link.as_json() for link in links]
    bad = remote_backing_of(run).open()
    if facts.active:
        _pull(libvirt, run, facts)
    if any(bad.values()):
        raise AdapterError(_rotten(run, bad))


def _rotten(run: InstantRun, bad: dict[str, list[int]]) -> str:
    """What the VM waits for, in one sentence: it is paused where it needs such a block."""
    target, starts = next((target, starts) for target, starts in bad.items() if starts)
    more = sum(map(len, bad.values())) - 1
    others = f" and {more} more" if more else ""
    return (
        f"The block at byte {starts[0]} of {target}{others} of generation {run.generation.key} is "
        f"not what was backed up, and was not given to {run.vm_name}: it pauses where it reads "
        f"there. Restore it from another copy, and see what is wrong: ./panel verify "
        f"{run.generation.key}."
    )


def _facts(libvirt: Tends, run: InstantRun) -> Borrowed | None:
    """What libvirt says of the VM, None if it has none. QEMU's monitor can hang for as long as a
    read waits for the store, and what it waits for is the line: so that is put back whether libvirt
    answers or not."""
    try:
        return libvirt.borrowed(str(run.vm_uuid))
    except AdapterError:
        remote_backing_of(run).open()
        raise


def _grown(link: InstantDisk, facts: Borrowed) -> InstantDisk:
    """How much of a disk is local, by libvirt's block job; a disk without anything below is."""
    local = link.local_bytes
    if link.target not in facts.borrowed:
        local = link.total_bytes
    elif link.target in facts.jobs:
        job = facts.jobs[link.target]
        local = link.total_bytes * job.done // job.total if job.total else local
    return InstantDisk(**{**link.as_json(), "local_bytes": local})


def _pull(libvirt: Tends, run: InstantRun, facts: Borrowed) -> None:
    uuid = str(run.vm_uuid)
    if stopped_by_a_write(facts.state, facts.reason):
        libvirt.resume(uuid)
    cap = int(run.job.parameters.get("bytes_per_second") or 0) if run.job else 0
    for target in facts.borrowed:
        if target not in facts.jobs:
            libvirt.pull(uuid, target, bytes_per_second=cap)


def _stand_alone(libvirt: Tends, run: InstantRun, xml: str) -> None:
    """Every block is local: a definition that says so, and nothing lent any more."""
    if xml:
        clean = instant_xml.independent(xml, {link.target: link.policies for link in links_of(run)})
        libvirt.define(clean)
    _end(run, f"{run.vm_name} is complete: every block of it is on {run.host.name}.")


def _end(run: InstantRun, sentence: str) -> None:
    """The row goes only when nothing is left on either machine, so that a next turn tries again."""
    left = remote_backing_of(run).close()
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

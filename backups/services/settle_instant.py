"""VMs that were to run from a generation within seconds, and do not: leave nothing behind."""

from backups.models import InstantRun
from backups.services.loans import line_of
from labpanel.adapters.hypervisor import opened
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.machine import Machine
from labpanel.adapters.nbd_relay import end_channel
from labpanel.jobs.models import Job

_SHORT = 15
_UNTOUCHED = "The worker died before anything was begun; nothing is left to clean up."


def abandon(run: InstantRun, job: Job) -> None:
    """Take back a VM that does not run: its definition, what was made for it, the row."""
    left = job.state_data
    with opened(run.host.endpoint()) as hypervisor:
        state = hypervisor.call("state", deadline=_SHORT, uuid=str(run.vm_uuid))
        if state["known"]:
            hypervisor.call("undefine", deadline=_SHORT, uuid=str(run.vm_uuid))
    with ImageHost(Machine(run.host.endpoint())) as images:
        images.remove([*left.get("paths", []), *filter(None, [left.get("nvram")])])
    line_of(run).close()
    run.delete()


def settle(job: Job) -> str:
    """A killed worker's: a VM that runs goes on, of one that does not nothing stays."""
    run = InstantRun.objects.select_related("host", "generation__store__host").filter(job=job)
    found = run.first()
    if found is None:
        return _UNTOUCHED
    end_channel(Machine(found.host.endpoint(), f"job-{job.pk}"))
    with opened(found.host.endpoint()) as hypervisor:
        state = hypervisor.call("state", deadline=_SHORT, uuid=str(found.vm_uuid))
    if state["known"] and state["id"] != -1:
        return f"The worker died after {found.vm_name} was started on {found.host.name}; it runs."
    abandon(found, job)
    return f"The worker died in the middle; nothing of {found.vm_name} is left."

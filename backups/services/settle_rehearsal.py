"""Ending what is left of a rehearsal whose worker died or whose host was away."""

from hosts.models import Host
from labpanel.adapters.hypervisor import opened
from labpanel.adapters.machine import Machine
from labpanel.adapters.stage import Stage
from labpanel.jobs.models import Job


def clear(job: Job, host: Host) -> None:
    """End the domain and remove the folders, as the job remembered them."""
    left = job.state_data
    with opened(host.endpoint()) as hypervisor:
        hypervisor.call("end_transient", deadline=30, uuid=left["uuid"])
    with Stage(Machine(host.endpoint())) as stage:
        stage.clear(left["scratch_folder"], left.get("sockets_folder", ""))

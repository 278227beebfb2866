"""Ending what is left of a rehearsal whose worker died or whose host was away."""

from dataclasses import dataclass
from typing import ClassVar

from hosts.models import Host
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.rehearsal.workspace import RehearsalWorkspace
from labpanel.adapters.ssh.machine import Machine
from labpanel.jobs.models import Job


@dataclass(frozen=True, slots=True)
class OpenRehearsal:
    """The transient domain, the folder of its overlays, and that of the sockets of its disks."""

    KIND: ClassVar[str] = "rehearsal"
    host: int
    uuid: str
    scratch: str
    sockets: str = ""

    def pay(self, job: Job) -> str:
        endpoint = Host.objects.get(pk=self.host).endpoint()
        with opened(endpoint) as hypervisor:
            hypervisor.end_transient(self.uuid)
        with RehearsalWorkspace(Machine(endpoint)) as workspace:
            workspace.clear(self.scratch, self.sockets)
        return ""

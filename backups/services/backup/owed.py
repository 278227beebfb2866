"""What a backup may leave behind on its source's host, and undoing it."""

import contextlib
from dataclasses import dataclass
from typing import ClassVar

from backups.models import Generation
from backups.services.backup.end_backup import end_backup, thaw
from backups.services.backup.forget_checkpoints import forget_checkpoints
from hosts.models import Host
from labpanel.adapters.errors import Missing
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.adapters.ssh.machine import Machine
from labpanel.jobs.models import Job, Obligation
from labpanel.jobs.obligations import StillOwed
from labpanel.jobs.states import State


@dataclass(frozen=True, slots=True)
class FrozenGuest:
    """A guest whose file systems may be frozen: what it was asked is not known to be undone."""

    KIND: ClassVar[str] = "thaw"
    host: int
    uuid: str

    def pay(self, job: Job) -> str:
        if self._is_being_frozen(job):
            raise StillOwed("Another backup of this VM is about to thaw it.")
        with opened(Host.objects.get(pk=self.host).endpoint()) as hypervisor:
            if not thaw(hypervisor, self.uuid):
                raise StillOwed("The guest's agent did not say that it is thawed.")
        return ""

    def _is_being_frozen(self, job: Job) -> bool:
        """A thaw in the middle of another backup's instant would spoil that one."""
        running = Obligation.objects.filter(job__state=State.RUNNING, paid_at=None)
        return running.exclude(job=job).filter(kind=self.KIND, data__uuid=self.uuid).exists()


@dataclass(frozen=True, slots=True)
class OpenBackup:
    """libvirt's backup job. `mark` is a word of its description that tells it from others; `files`
    are those that QEMU writes or listens on; `ran` says that the VM was not paused before."""

    KIND: ClassVar[str] = "open backup"
    host: int
    uuid: str
    mark: str
    files: tuple[str, ...]
    ran: bool

    def pay(self, job: Job) -> str:
        endpoint = Host.objects.get(pk=self.host).endpoint()
        with opened(endpoint) as hypervisor, ImageHost(Machine(endpoint)) as images:
            self.end(hypervisor, images)
        return ""

    def end(self, hypervisor: BacksUp, images: ImageHost) -> bool:
        """Over connections at hand; True, as nothing is owed any more."""
        end_backup(hypervisor, images, self.uuid, self.mark, self.files, ran=self.ran)
        return True


@dataclass(frozen=True, slots=True)
class AsideFolder:
    """A folder on another file system, made for those files."""

    KIND: ClassVar[str] = "aside folder"
    host: int
    path: str

    def pay(self, job: Job) -> str:
        with ImageHost(Machine(Host.objects.get(pk=self.host).endpoint())) as images:
            images.remove_aside(self.path)
        return ""


@dataclass(frozen=True, slots=True)
class NewCheckpoint:
    """The record that a generation `key` begins: it stays only with that generation."""

    KIND: ClassVar[str] = "checkpoint"
    host: int
    uuid: str
    name: str
    key: str

    def pay(self, job: Job) -> str:
        if Generation.objects.filter(key=self.key).exists():
            return ""
        endpoint = Host.objects.get(pk=self.host).endpoint()
        # With a VM that was removed meanwhile libvirt has forgotten its checkpoints, too.
        with contextlib.suppress(Missing), opened(endpoint) as hypervisor:
            forget_checkpoints(hypervisor, self.uuid, [self.name])
        return ""

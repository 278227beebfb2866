"""VMs that were to run from a generation within seconds, and do not: leave nothing behind."""

from dataclasses import dataclass
from typing import ClassVar

from django.db.models import Q

from backups.models import InstantRun, MadeVM
from backups.services.index.note_made import beside_of, note_made
from backups.services.instant.persistent_exports import remote_backing_of
from backups.services.restore.beside import marked_of, remove
from hosts.models import VM, Host, VirtualDisk
from hosts.services.inventory.claims import hand_over
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.ssh.machine import Machine
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.obligations import StillOwed, must_be_alone, read
from labpanel.jobs.states import ACTIVE, State

_UNTOUCHED = "The worker died before anything was begun; nothing is left to clean up."


@dataclass(frozen=True, slots=True)
class OpenInstant:
    """A VM about to run: `run` is the key of its InstantRun, `paths` are the overlays made so far
    for it."""

    KIND: ClassVar[str] = "instant"
    host: int
    run: int
    uuid: str
    name: str
    paths: tuple[str, ...] = ()

    def pay(self, job: Job) -> str:
        """A VM that runs goes on; of one that does not nothing stays."""
        host = Host.objects.get(pk=self.host)
        if job.is_final and _is_taken_over(self, job, host):
            _give_back(self)
            return f"{self.name} on {host.name} is of a later job, and stays."
        with opened(host.endpoint()) as hypervisor:
            state = hypervisor.state(self.uuid)
        if state.active:
            hand_over(self.uuid, host, VM.State.RUNNING)
            with ImageHost(Machine(host.endpoint())) as images:
                note_made(job, host, images, [*self.paths, *marked_of(beside_of(job))])
            if job.is_final:
                return _corrected(job, f"{self.name} runs on {host.name} after all.")
            return f"The worker died after {self.name} was started on {host.name}; it runs."
        abandon(self, job)
        return f"The worker died in the middle; nothing of {self.name} is left."


def _corrected(job: Job, sentence: str) -> str:
    """Say it in a job that ended with another word."""
    Job.objects.filter(pk=job.pk).update(sentence=f"{sentence} Before: {job.sentence}")
    ledger.add_line(job.pk, sentence)
    return sentence


def abandon(left: OpenInstant, job: Job) -> None:
    """Take back a VM that does not run: its definition, what was made for it, the row. Raises
    StillOwed for one that runs, as after a start whose answer was lost: a turn lets it go on."""
    endpoint = Host.objects.get(pk=left.host).endpoint()
    with opened(endpoint) as hypervisor:
        state = hypervisor.state(left.uuid)
        if state.active:
            raise StillOwed(f"{left.name} runs after all.")
        if state.known:
            hypervisor.undefine(left.uuid)
    with ImageHost(Machine(endpoint)) as images:
        images.remove(left.paths)
        remove(beside_of(job), left.uuid, images, BesideHost(Machine(endpoint)))
    _give_back(left)


def _give_back(left: OpenInstant) -> None:
    """End what the store lends, and the row with it."""
    runs = InstantRun.objects.select_related("host", "generation__store__host")
    run = runs.filter(pk=left.run).first()
    if run is not None:
        remote_backing_of(run).close()
        run.delete()


def _is_taken_over(left: OpenInstant, job: Job, host: Host) -> bool:
    """Whether the UUID, the name or a path of a run that came to nothing is another VM's by now.

    Its job has ended and holds no lock, so the same VM may have been brought back once more, or
    moved here: names and paths are free again as soon as the first step of the tidying is done.
    Raises StillOwed while a job is about to do that.
    """
    must_be_alone(job, left.name)
    same = Q(parameters__uuid=left.uuid) | Q(parameters__name=left.name)
    brought = Q(kind__in=("restore", "instant"), parameters__host=host.pk) & same
    moved = Q(kind="move", parameters__to=host.name, subject=f"vm:{left.uuid}")
    later = Job.objects.filter(brought | moved, pk__gt=job.pk)
    if later.filter(state__in=ACTIVE).exists():
        raise StillOwed(f"A later job brings {left.name} to {host.name}.")
    made_by = MadeVM.objects.filter(host=host).exclude(job=None).values("job")
    # A job that failed has tidied up, unless the VM was defined and only did not start.
    ended = later.exclude(state=State.CANCELLED).exclude(~Q(pk__in=made_by), state=State.FAILED)
    others = VirtualDisk.objects.filter(vm__host=host, source__in=left.paths, missing_since=None)
    return ended.exists() or others.exclude(vm__uuid=left.uuid).exists()


def settle(job: Job) -> str:
    """What became of it when it was paid. One that the worker itself had paid is looked at once
    more: the answer is what counts."""
    begun = job.obligations.filter(kind=OpenInstant.KIND).first()
    if begun is None:
        return _UNTOUCHED
    return begun.sentence or read(begun).pay(job)

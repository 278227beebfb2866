"""What a restore may leave behind on its host, and how one ended whose worker died."""

from dataclasses import dataclass
from typing import ClassVar

from backups.services.index.note_made import beside_of, note_made
from backups.services.restore.beside import marked_of, remove
from backups.services.restore.exchange import exchange
from hosts.models import Host
from hosts.services.inventory.claims import hand_over
from labpanel.adapters.images.beside_host import BesideHost
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.replacer import Exchange, Replacer
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.ssh.machine import Machine
from labpanel.jobs.models import Job
from labpanel.jobs.obligations import must_be_alone, read
from labpanel.jobs.states import State
from labpanel.lib.units import listed

_UNTOUCHED = "The worker died before anything was begun; nothing is left to clean up."


@dataclass(frozen=True, slots=True)
class OpenRestore:
    """A VM being restored to a new place: `partials` are images that are being filled, `paths` the
    names that they get when all are whole."""

    KIND: ClassVar[str] = "restore"
    host: int
    uuid: str
    name: str
    partials: tuple[str, ...]
    paths: tuple[str, ...]

    def pay(self, job: Job) -> str:
        """Remove half-filled images; a VM that was defined already stays, with its disks."""
        host = Host.objects.get(pk=self.host)
        with opened(host.endpoint()) as hypervisor:
            known = hypervisor.state(self.uuid).known
        with ImageHost(Machine(host.endpoint())) as images:
            images.remove(self.partials)
            if job.is_final:  # whole disks and what the job made beside them are named in its end
                return ""
            placed = images.existing(self.paths)
            made = beside_of(job)
            if known:
                note_made(job, host, images, [*placed, *images.existing(marked_of(made))])
            else:
                remove(made, self.uuid, images, BesideHost(Machine(host.endpoint())))
        if known:
            hand_over(self.uuid, host)
            return f"The worker died after {self.name} was defined on {host.name}; it is whole."
        if placed:
            return (
                f"The worker died before {self.name} was defined on {host.name}. Whole disks were "
                f"left at {listed(placed)}; remove them, or use them."
            )
        return f"The worker died in the middle; nothing of {self.name} is left on {host.name}."


@dataclass(frozen=True, slots=True)
class OpenReplacement:
    """New disks being made beside those of a VM; `ready` says that all are proven, and that the
    exchange is to be brought to its end."""

    KIND: ClassVar[str] = "replacement"
    host: int
    uuid: str
    name: str
    exchanges: tuple[Exchange, ...]
    ready: bool = False

    def pay(self, job: Job) -> str:
        """Once all new images were proven, they are put in place; before that they go, and so they
        do where a later restore has put other disks in place."""
        must_be_alone(job, self.name)
        host = Host.objects.get(pk=self.host)
        with ImageHost(Machine(host.endpoint())) as images:
            new = [one.new for one in self.exchanges]
            if not self.ready:
                images.remove(new)
                return f"{self.name} on {host.name} is as it was."
            waiting = images.existing(new)
            begun = len(waiting) < len(new) or not images.existing([self.exchanges[0].path])
            with opened(host.endpoint()) as hypervisor:
                stored = hypervisor.stored(self.uuid)
                later = not begun and _is_replaced_since(job)
                if stored is None or later or (stored.active and not begun):
                    images.remove(new)
                    why = "was restored again" if later else "was started"
                    why = "was removed" if stored is None else why
                    return (
                        f"{self.name} {why} before its disks were put in place; they are as they "
                        "were."
                    )
                with Replacer(Machine(host.endpoint())) as replacer:
                    asides = exchange(hypervisor, replacer, self.uuid, self.exchanges)
        kept = f"; what it had is kept in {listed(asides)}" if asides else ""
        return f"{self.name} on {host.name} has its disks of the backup{kept}."


def _is_replaced_since(job: Job) -> bool:
    """Whether a later job of the same VM has put disks of a backup in its place."""
    later = Job.objects.filter(kind=job.kind, lock_key=job.lock_key, pk__gt=job.pk)
    return later.filter(state=State.DONE, parameters__in_place=True).exists()


def restore(job: Job) -> str:
    """What was begun, and what became of it when it was paid. One that the worker itself had
    paid is looked at once more: the answer is what counts."""
    begun = job.obligations.filter(kind__in=(OpenRestore.KIND, OpenReplacement.KIND)).first()
    if begun is None:
        return _UNTOUCHED
    sentence = begun.sentence or read(begun).pay(job)
    if begun.kind == OpenReplacement.KIND:
        return f"The worker died in the middle. {sentence}"
    return sentence

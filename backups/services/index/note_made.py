"""Write down that the panel made a VM, and mark the files that it made for it."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from backups.models import MadeVM
from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.ssh.machine import Machine
from labpanel.jobs.models import Job
from labpanel.jobs.notes import noted


@dataclass(frozen=True, slots=True)
class MadeBeside:
    """Noted by a job that brings a VM back: paths of what it made beside the images."""

    beside: tuple[str, ...] = ()


def beside_of(job: Job) -> tuple[str, ...]:
    made = noted(job, MadeBeside)
    return made.beside if made else ()


def note_made(job: Job, host: Host, images: ImageHost, files: Sequence[str]) -> str:
    """Once the job has defined the VM. Nothing fails over it: a VM that is not written down is one
    that the panel does not offer to remove. The sentence that says so, else empty."""
    asked = job.parameters
    name, uuid = str(asked["name"]), str(asked["uuid"])
    try:
        marked = images.mark(list(files), secrets.token_hex(16))
    except AdapterError as error:
        return f"The panel will not offer to remove {name}: {error.sentence}"
    MadeVM.objects.update_or_create(
        vm_uuid=uuid,
        host=host,
        defaults={
            "vm_name": name,
            "way": MadeVM.Way.INSTANT if job.kind == "instant" else MadeVM.Way.RESTORE,
            "is_copy": bool(asked["is_copy"]) and not asked.get("successor"),
            "generation": str(asked["generation"]),
            "job": job,
            "files": [asdict(file) for file in marked],
        },
    )
    unmarked = [file.path for file in marked if not file.mark]
    if unmarked:
        return (
            f"The file system of {unmarked[0]} keeps no marks: should {name} be removed one day, "
            "its images stay."
        )
    return ""


def note_moved(uuid: str, source: Host, destination: Host, files: Sequence[str]) -> None:
    """A VM of the panel's own making went to another host, where a move made its files. What cannot
    be marked there is not offered for removal; the images that stay at the source are not the
    panel's."""
    row = MadeVM.objects.filter(vm_uuid=uuid, host=source).first()
    if row is None:
        return
    try:
        with ImageHost(Machine(destination.endpoint())) as images:
            marked = images.mark(list(files), secrets.token_hex(16))
    except AdapterError:
        return  # the row of the host before says that it went away
    MadeVM.objects.filter(vm_uuid=uuid, host=destination).delete()
    row.host, row.way = destination, MadeVM.Way.MOVE
    row.files = [asdict(file) for file in marked]
    row.save(update_fields=["host", "way", "files"])

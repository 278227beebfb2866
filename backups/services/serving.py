"""Reading a shut-off VM: qemu-nbd on its host, one export for each image."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

from backups.models import Generation
from backups.rules import hints
from backups.services.source import SHORT, Facts, Opened, Plan
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.mover import Export
from labpanel.adapters.source_host import SourceHost
from labpanel.jobs.work import Failed
from labpanel.lib.disks import SourceDisk
from labpanel.lib.hints import Hint
from labpanel.lib.source_facts import ImageFacts

_SAVED = "it was saved with its memory, which is not kept, and had its file systems in use"


@contextlib.contextmanager
def served(
    hypervisor: Hypervisor, images: ImageHost, source: SourceHost, facts: Facts, plan: Plan
) -> Iterator[Opened]:
    """No lock is held on the images: a VM that is started in the middle wins, and the copy is
    worth nothing. That is told by libvirt's state and by the files' time stamps."""
    paths = [(disk.source, disk.format) for disk in facts.disks]
    before = source.images(paths)
    known = {disk.target: image for disk, image in zip(facts.disks, before, strict=True)}
    found = _hints(images, source, facts, plan, known)
    yield Opened(
        exports={disk.target: _serve(images, disk, found[disk.target]) for disk in facts.disks},
        hints=found,
        taken_at=datetime.now(UTC),
        consistency=Generation.Consistency.CRASH
        if facts.managed_save
        else Generation.Consistency.OFF,
        note=_SAVED if facts.managed_save else "",
        look=lambda: still_off(hypervisor, facts),
        stamps={target: list(image.stamps) for target, image in known.items()},
    )
    still_off(hypervisor, facts)
    if [image.stamps for image in source.images(paths)] != [image.stamps for image in before]:
        raise Failed(f"{facts.name} was written to while it was copied; back it up again.")


def _hints(
    images: ImageHost,
    source: SourceHost,
    facts: Facts,
    plan: Plan,
    known: dict[str, ImageFacts],
) -> dict[str, Hint]:
    now = hints.Now(facts.name, plan.host, last_run=source.last_run(facts.name))
    return {
        disk.target: hints.of_off(
            now,
            disk,
            images.virtual_bytes(disk.source, disk.format),
            known[disk.target],
            plan.kept.get(disk.target),
            deep=plan.deep,
        )
        for disk in facts.disks
    }


def _serve(images: ImageHost, disk: SourceDisk, hint: Hint) -> Export:
    bitmap = hint.context.removeprefix("qemu:dirty-bitmap:")
    socket = images.serve(disk.target, disk.source, disk.format, writable=False, bitmap=bitmap)
    return Export(socket, disk.target, disk.source if disk.format == "raw" else "")


def still_off(hypervisor: Hypervisor, facts: Facts) -> None:
    """A VM that was started in the middle of a copy wins; the copy is worth nothing."""
    now = hypervisor.call("state", deadline=SHORT, uuid=facts.uuid)
    if now["id"] != -1:
        raise Failed(f"{facts.name} was started while it was copied; back it up again.")

"""Reading a shut-off VM: qemu-nbd on its host, one export for each image."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

from backups.models import Generation
from backups.rules.backup import hints
from backups.services.backup.source import Facts, OpenDisks, SourcePlan
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.mover import Export
from labpanel.adapters.images.source_host import SourceHost
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.jobs.work import Failed
from labpanel.lib.disks import Below, SourceDisk
from labpanel.lib.hints import Hint
from labpanel.lib.source_facts import ImageFacts

_SAVED = "it was saved with its memory, which is not kept, and had its file systems in use"


@contextlib.contextmanager
def served(
    hypervisor: BacksUp, images: ImageHost, source: SourceHost, facts: Facts, plan: SourcePlan
) -> Iterator[OpenDisks]:
    """No lock is held on the images: a VM that is started in the middle wins, and the copy is
    worth nothing. That is told by libvirt's state and by the files' time stamps."""
    known = facts.seen_images(source)
    found = _hints(images, source, facts, plan, known)
    yield OpenDisks(
        exports={
            disk.target: _serve(images, disk, facts.below(disk), found[disk.target])
            for disk in facts.disks
        },
        hints=found,
        taken_at=datetime.now(UTC),
        consistency=Generation.Consistency.CRASH
        if facts.managed_save
        else Generation.Consistency.OFF,
        note=_SAVED if facts.managed_save else "",
        look=lambda: still_off(hypervisor, facts),
        stamps={target: list(image.stamps) for target, image in known.items()},
        images=known,
    )
    still_off(hypervisor, facts)
    after = facts.seen_images(source)
    if any(after[target].stamps != image.stamps for target, image in known.items()):
        raise Failed(f"{facts.name} was written to while it was copied; back it up again.")


def _hints(
    images: ImageHost,
    source: SourceHost,
    facts: Facts,
    plan: SourcePlan,
    known: dict[str, ImageFacts],
) -> dict[str, Hint]:
    last = source.last_run(facts.name)
    now = hints.CurrentVM(facts.name, plan.host, last_run=last, moved_at=plan.moved_at)
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


def _serve(images: ImageHost, disk: SourceDisk, below: Below, hint: Hint) -> Export:
    bitmap = hint.context.removeprefix("qemu:dirty-bitmap:")
    socket = images.serve(
        disk.target, disk.source, disk.format, writable=False, bitmap=bitmap, below=below
    )
    return Export(socket, disk.target, disk.source if disk.format == "raw" else "")


def still_off(hypervisor: BacksUp, facts: Facts) -> None:
    """A VM that was started in the middle of a copy wins; the copy is worth nothing."""
    if hypervisor.state(facts.uuid).active:
        raise Failed(f"{facts.name} was started while it was copied; back it up again.")

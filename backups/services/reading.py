"""Opening all disks of a VM for reading at one instant: running by libvirt's pull backup, shut off
by qemu-nbd on its host, and where serving them could crash QEMU by its own copy beside them."""

import contextlib
from collections.abc import Iterator

from backups.services.pulling import pulled
from backups.services.pushing import pushed
from backups.services.serving import served
from backups.services.source import Facts, Opened, Plan, facts_of
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.image_host import ImageHost
from labpanel.adapters.source_host import SourceHost
from labpanel.jobs.work import Work

__all__ = ["Facts", "Opened", "Plan", "facts_of", "opened_disks"]


@contextlib.contextmanager
def opened_disks(
    work: Work,
    hypervisor: Hypervisor,
    images: ImageHost,
    facts: Facts,
    tag: str,
    plan: Plan,
) -> Iterator[Opened]:
    """All data disks of the VM as of one instant; everything made for it is gone afterwards."""
    with SourceHost(images.machine) as source, contextlib.ExitStack() as stack:
        if not facts.active:
            way = served(hypervisor, images, source, facts, plan)
        elif facts.by_push:
            way = pushed(work, hypervisor, images, source, facts, tag, plan)
        else:
            way = pulled(work, hypervisor, images, source, facts, tag, plan)
        yield stack.enter_context(way)

"""Opening all disks of a VM for reading at one instant: running by libvirt's pull backup, shut off
by qemu-nbd on its host, and where serving them could crash QEMU by its own copy beside them."""

import contextlib
from collections.abc import Iterator

from backups.services.backup import open_by_pull, open_by_push
from backups.services.backup.backup_guard import GrowthFolder
from backups.services.backup.open_offline import served
from backups.services.backup.set_aside import RoomWanted, placed
from backups.services.backup.source import Facts, OpenDisks, SourcePlan, facts_of
from labpanel.adapters.images.image_host import ImageHost
from labpanel.adapters.images.source_host import SourceHost
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.jobs.work import Work

__all__ = ["Facts", "OpenDisks", "SourcePlan", "facts_of", "opened_disks"]


@contextlib.contextmanager
def opened_disks(
    work: Work,
    hypervisor: BacksUp,
    images: ImageHost,
    facts: Facts,
    tag: str,
    plan: SourcePlan,
) -> Iterator[OpenDisks]:
    """All data disks of the VM as of one instant; everything made for it is gone afterwards."""
    with SourceHost(images.machine) as source, contextlib.ExitStack() as stack:
        hands = (work, hypervisor, images, source, facts, tag, plan)

        def place(wanted: RoomWanted) -> GrowthFolder:
            name = f".{tag}-aside"
            return stack.enter_context(placed(work, images, source, facts, plan, name, wanted))

        if not facts.active:
            way = served(hypervisor, images, source, facts, plan)
        elif facts.by_push:
            needed = open_by_push.needed_bytes(hypervisor, facts)
            way = open_by_push.pushed(*hands, place(open_by_push.wanted(needed, facts)), needed)
        else:
            virtual = sum(facts.sized(hypervisor, images).values())
            way = open_by_pull.pulled(*hands, place(open_by_pull.wanted(virtual, facts)))
        yield stack.enter_context(way)

"""Disks of which a store holds no copy yet, by the same rule by which coverage knows a disk."""

from collections import defaultdict
from datetime import datetime

from backups.models import Exclusion, Store
from backups.selectors.coverage.kept import copies_kept
from backups.selectors.coverage.same_disk import of_this_disk
from backups.selectors.policies.exclusions import lasts, speaks_of
from hosts.models import VM, VirtualDisk


class NewDisks:
    """What all stores hold of all VMs, read once; two queries."""

    def __init__(self, now: datetime) -> None:
        self._held = copies_kept(None, now)
        self._out: dict[int, list[Exclusion]] = defaultdict(list)
        for exclusion in Exclusion.objects.all():
            if lasts(exclusion, now):
                self._out[exclusion.vm_id].append(exclusion)

    def since(self, vm: VM, store: Store) -> list[datetime]:
        """When each disk became known that is to be saved and is in no copy of this store; `vm` has
        its host and present disks."""
        return [
            disk.first_seen_at
            for disk in vm.disks.all()
            if disk.holds_data and not self._is_out(disk) and not self._is_kept(vm, disk, store)
        ]

    def _is_out(self, disk: VirtualDisk) -> bool:
        return any(
            one.target == disk.target and speaks_of(one, disk.first_seen_at)
            for one in self._out[disk.vm_id]
        )

    def _is_kept(self, vm: VM, disk: VirtualDisk, store: Store) -> bool:
        own = of_this_disk(disk, self._held.get((vm.uuid, disk.target), ()))
        return any(generation.store_id == store.pk for generation, _ in own)

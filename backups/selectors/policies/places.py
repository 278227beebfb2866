"""Which stores a policy's places mean for a VM, for many VMs in a constant number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Prefetch, QuerySet
from django.utils import timezone

from backups.models import Generation, Policy, Store
from backups.rules.copies.trust import AHEAD, DISTRUSTED
from backups.rules.policies.places import StoreCandidate, choose
from backups.selectors.stores.drives import keys_below
from hosts.models import VM, VirtualDisk
from hosts.selectors.machines import same_machine


@dataclass(frozen=True, slots=True)
class PolicyPlace:
    """A word of a policy's places, and the store that it means for one VM; if there is none,
    `why` says so in a sentence."""

    word: str
    store: Store | None
    why: str = ""


class Placing:
    """All stores and what they hold, read once."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.stores = {store.name: store for store in Store.objects.select_related("host")}
        whole = Generation.objects.filter(state=Generation.State.COMPLETE).order_by()
        counting = whole.exclude(trust__in=DISTRUSTED).exclude(taken_at__gt=now + AHEAD)
        grouped = counting.values_list("vm_uuid", "store").annotate(newest=Max("taken_at"))
        self.newest = {(uuid, store): newest for uuid, store, newest in grouped}

    def of(self, policy: Policy, vm: VM) -> list[PolicyPlace]:
        """One for each of the policy's places; two that mean the same store are one."""
        drives = {key for disk in vm.disks.all() if disk.file_system for key in _keys(disk)}
        candidates = [self._candidate(store, vm, drives) for store in self.stores.values()]
        found: list[PolicyPlace] = []
        for word in policy.places:
            choice = choose(word, candidates, vm.host.name, self.now)
            store = self.stores.get(choice.name)
            if store is None or store not in [place.store for place in found]:
                found.append(PolicyPlace(word, store, choice.why))
        return found

    def _candidate(self, store: Store, vm: VM, drives: set[str]) -> StoreCandidate:
        return StoreCandidate(
            name=store.name,
            on_host=same_machine(store.host, vm.host),
            same_drive=bool(drives & set(store.drives)),
            available_bytes=store.available_bytes or 0,
            silent_since=(store.looked_at or store.added_at) if store.error else None,
            newest=self.newest.get((vm.uuid, store.pk)),
        )


def _keys(disk: VirtualDisk) -> set[str]:
    return keys_below(disk.file_system) if disk.file_system and disk.holds_data else set()


def with_drives(vms: QuerySet[VM]) -> Sequence[VM]:
    """The VMs with what `Placing.of` asks of each."""
    disks = VirtualDisk.objects.filter(missing_since=None).select_related("file_system")
    return list(
        vms.select_related("host")
        .defer("xml", "inactive_xml")
        .prefetch_related(Prefetch("disks", disks.prefetch_related("file_system__drives")))
    )


def places_of(policy: Policy, vm: VM) -> list[Store]:
    """The stores that this policy saves this VM to."""
    (found,) = with_drives(VM.objects.filter(pk=vm.pk))
    places = Placing(timezone.now()).of(policy, found)
    return [place.store for place in places if place.store is not None]

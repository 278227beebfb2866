"""Partial generations of jobs that ended: a store that was away when its backup broke has them
still. They go with the next turn that reaches it, the next look at it, or the VM's next backup into
it, whichever is first."""

import logging
from collections.abc import Iterable

from backups.models import Store
from backups.services.index.partial import PartialGeneration
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs.models import Obligation
from labpanel.jobs.obligations import mark_paid
from labpanel.jobs.states import ACTIVE, FINAL

log = logging.getLogger(__name__)
_NEWEST = 20


def sweep(keeper: Keeper, partials: Iterable[tuple[str, str]]) -> list[str]:
    """Remove partial generations of this panel whose job has ended; those that the store's machine
    does not take for such, by name."""
    odd, found = [], list(partials)
    asked = Obligation.objects.filter(kind=PartialGeneration.KIND)
    begun = asked.filter(data__key__in=[key for _, key in found])
    ours = {str(row.data["key"]) for row in begun}
    at_work = {str(row.data["key"]) for row in begun.filter(job__state__in=ACTIVE)}
    for vm_uuid, key in found:
        if key in at_work:
            continue
        try:
            keeper.drop(vm_uuid, key, known=key in ours)
        except ScriptRefused as refusal:
            log.info("store %s: %s", keeper.path, refusal.sentence)
            odd.append(f"{vm_uuid}/.{key}.partial")
    return odd


def drop_of_vm(keeper: Keeper, store: Store, vm_uuid: str) -> None:
    """What this panel's last jobs left of the VM in the store. It holds up no backup."""
    owed = Obligation.objects.filter(
        kind=PartialGeneration.KIND,
        paid_at=None,
        data__store=store.pk,
        data__vm_uuid=vm_uuid,
        job__state__in=FINAL,
    )
    for row in owed.order_by("-pk")[:_NEWEST]:
        key = str(row.data["key"])
        try:
            if keeper.drop(vm_uuid, key, known=True):
                log.info("store %s: what %s left is removed", store.name, key)
                mark_paid(row)
        except ScriptRefused as refusal:
            log.info("store %s: %s", store.name, refusal.sentence)

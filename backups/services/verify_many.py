"""Verify all generations of a store, or of all stores: a job for each, the newest first."""

from backups.models import Generation, Store
from backups.services.verify import ask_for_verify
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal


def ask_for_many(store: Store | None, level: int, *, asked_by: str = "") -> list[Job]:
    """The jobs; of a generation that is being worked on, the one that is at it. Raises Refusal
    if there is nothing to verify."""
    present = Generation.objects.exclude(state=Generation.State.MISSING).select_related("store")
    if store is not None:
        present = present.filter(store=store)
    found = list(present.order_by("-taken_at"))
    if not found:
        where = f"in the store {store.name}" if store else "in any store"
        raise Refusal(f"There is no backup {where} to verify.", 409)
    return [_one(generation, level, asked_by) for generation in found]


def _one(generation: Generation, level: int, asked_by: str) -> Job:
    try:
        return ask_for_verify(generation, level, asked_by=asked_by)
    except Busy as busy:
        return busy.job

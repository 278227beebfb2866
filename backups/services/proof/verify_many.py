"""Verify all generations of a store, or of all stores: a job for each, the newest first, and a
group of those that were opened."""

from backups.models import Generation, Store
from backups.rules.copies.faults import FILES
from backups.services.proof.verify import ask_for_verify
from labpanel.jobs.groups import gather
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.refusal import Refusal


def ask_for_many(store: Store | None, level: int, *, asked_by: Actor = PANEL) -> list[Job]:
    """The jobs; of a generation that is being worked on, the one that is at it. Raises Refusal
    if there is nothing to verify."""
    present = Generation.objects.exclude(state=Generation.State.MISSING).select_related("store")
    if store is not None:
        present = present.filter(store=store)
    found = list(present.order_by("-taken_at"))
    if not found:
        where = f"in the store {store.name}" if store else "in any store"
        raise Refusal(f"There is no backup {where} to verify.", 409)
    jobs, opened = [], []
    for generation in found:
        try:
            opened.append(ask_for_verify(generation, level, asked_by=asked_by))
            jobs.append(opened[-1])
        except Busy as busy:
            jobs.append(busy.job)
    what = "the files of " if level == FILES else ""
    where = store.name if store else "all stores"
    gather(f"Check of {what}{len(opened)} copies in {where}", opened, asked_by=asked_by)
    return jobs

"""The life of our checkpoints: a new one is kept only with its generation, and an old one goes only
when the new generation is durable."""

import contextlib
from collections.abc import Iterator, Sequence

from backups.models import Store
from backups.rules.backup import hints
from backups.services.backup.end_backup import patiently
from backups.services.backup.forget_checkpoints import forget_checkpoints
from backups.services.backup.owed import NewCheckpoint
from backups.services.backup.source import Facts, SourcePlan
from backups.services.index.identity import panel_id
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.libvirt.uses.jobs import BacksUp
from labpanel.jobs.obligations import mark_paid
from labpanel.jobs.work import Work


@contextlib.contextmanager
def turning(
    work: Work, hypervisor: BacksUp, facts: Facts, store: Store, plan: SourcePlan
) -> Iterator[None]:
    """Around a whole run, until its generation is durable: then the records before it go. If the
    run fails, the one that it began goes, and those before it stay as they were."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(AdapterError):  # a later turn does it: it is owed
            for row, new in work.owes(NewCheckpoint):
                forget_checkpoints(hypervisor, facts.uuid, [new.name])
                mark_paid(row)
        raise
    begun = work.owes(NewCheckpoint)
    keep = begun[0][1].name if begun else ""
    older = [kept.checkpoint for kept in plan.kept.values()]
    try:
        gone = keep_only(hypervisor, facts.uuid, store, keep, older)
    except AdapterError as error:
        work.line(f"Old checkpoints stay for now: {error.sentence}")
    else:
        if gone:
            work.line(f"Checkpoints that are not needed any more are gone: {', '.join(gone)}.")
    work.no_longer_owes(NewCheckpoint)


def keep_only(
    hypervisor: BacksUp, uuid: str, store: Store, keep: str, older: Sequence[str] = ()
) -> Sequence[str]:
    """Remove what no generation of this store needs any more; those that went.

    `older` are names from manifests: after a move libvirt may not know them, though their bitmaps
    came along. A run that began no record (`keep` is empty) needs none of its store's either.
    """
    names = patiently(lambda: hypervisor.checkpoints(uuid))
    stores = [str(known) for known in Store.objects.values_list("store_id", flat=True)]
    everything = sorted({*names, *(name for name in older if name)})
    stray = hints.strays(everything, panel_id(), str(store.store_id), keep, stores)
    return forget_checkpoints(hypervisor, uuid, stray) if stray else []

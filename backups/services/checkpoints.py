"""The life of our checkpoints: a new one is kept only with its generation, and an old one goes only
when the new generation is durable."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from backups.models import Generation, Store
from backups.rules import hints
from backups.services.closing import patiently
from backups.services.identity import panel_id
from backups.services.source import SHORT, Facts, Plan
from labpanel.adapters import backup_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.jobs.work import Work

FORGETTING = 60


@contextlib.contextmanager
def turning(
    work: Work, hypervisor: Hypervisor, facts: Facts, store: Store, plan: Plan
) -> Iterator[None]:
    """Around a whole run, until its generation is durable: then the records before it go. If the
    run fails, the one that it began goes, and those before it stay as they were."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(AdapterError):  # a later look does it: it is remembered
            undo(hypervisor, facts.uuid, work.job.state_data.get("checkpoint", ""))
            work.job.state_data["checkpoint"] = ""
        raise
    keep = work.job.state_data.get("checkpoint", "")
    older = [kept.checkpoint for kept in plan.kept.values()]
    try:
        gone = keep_only(hypervisor, facts.uuid, store, keep, older)
    except AdapterError as error:
        work.line(f"Old checkpoints stay for now: {error.sentence}")
    else:
        if gone:
            work.line(f"Checkpoints that are not needed any more are gone: {', '.join(gone)}.")
    work.remember(checkpoint="")


def undo(hypervisor: Hypervisor, uuid: str, name: str) -> None:
    """Remove the checkpoint that a failed run began, and nothing else."""
    if name:
        _forget(hypervisor, uuid, [name])


def keep_only(
    hypervisor: Hypervisor, uuid: str, store: Store, keep: str, older: Sequence[str] = ()
) -> list[str]:
    """Remove what no generation of this store needs any more; those that went.

    `older` are names from manifests: after a move libvirt may not know them, though their bitmaps
    came along. A run that began no record (`keep` is empty) needs none of its store's either.
    """
    names = _ask(hypervisor, "checkpoints", uuid)
    stores = [str(known) for known in Store.objects.values_list("store_id", flat=True)]
    everything = sorted({*names, *(name for name in older if name)})
    stray = hints.strays(everything, panel_id(), str(store.store_id), keep, stores)
    return _forget(hypervisor, uuid, stray) if stray else []


def settle(hypervisor: Hypervisor, left: dict[str, Any]) -> None:
    """For a job that died: the checkpoint stays if its generation is there, else it goes."""
    name = left.get("checkpoint", "")
    if name and not Generation.objects.filter(key=left["key"]).exists():
        undo(hypervisor, left["vm_uuid"], name)


def _forget(hypervisor: Hypervisor, uuid: str, names: Sequence[str]) -> list[str]:
    targets = bitmap_targets(_ask(hypervisor, "backup_facts", uuid)["xml"])
    gone: list[str] = patiently(
        lambda: hypervisor.call(
            "forget_checkpoints", deadline=FORGETTING, uuid=uuid, names=names, targets=targets
        )
    )
    return gone


def bitmap_targets(xml: str) -> list[str]:
    """The disks of a domain that can have bitmaps."""
    disks = backup_xml.source_disks(xml)
    return [disk.target for disk in disks if disk.holds_data and disk.format == "qcow2"]


def _ask(hypervisor: Hypervisor, verb: str, uuid: str) -> Any:
    return patiently(lambda: hypervisor.call(verb, deadline=SHORT, uuid=uuid))

"""Prove a generation: level 1 reads its files again, level 2 the content through QEMU.

Rot in an image shows in every generation built on it that did not rewrite the place: all of them
are written down, in one transaction, and none that still shows what was backed up.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from backups.models import Generation
from backups.rules.faults import CONTENT, FILES
from backups.selectors.policies import policy_of
from backups.services.examine import Examination, damaged
from backups.services.identity import panel_id
from backups.services.mend import begin_mending
from backups.services.record_faults import record_faults
from backups.services.shelf import Shelf
from backups.services.waiting_turn import wait_turn
from labpanel.adapters import bus
from labpanel.adapters.nbd_relay import private_machine
from labpanel.adapters.prover import Prover
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal
from labpanel.lib.units import listed


def ask_for_verify(generation: Generation, level: int, *, asked_by: str = "") -> Job:
    if level not in {FILES, CONTENT}:
        raise Refusal("The level of a verification is 1 (files) or 2 (content).")
    if generation.state == Generation.State.MISSING:
        raise Refusal(f"{generation.key} is gone from the store {generation.store.name}.", 409)
    return ledger.open_job(
        "verify",
        f"Verify {generation.key} of {generation.vm_name} (level {level})",
        subject=f"generation:{generation.key}",
        lock_key=f"generation:{generation.key}",
        asked_by=asked_by,
        parameters={"generation": generation.key, "level": level},
    )


def verify(work: Work) -> dict[str, Any]:
    """Do the job. Damage is written down, and ends it as failed with what is wrong where."""
    generation = Generation.objects.select_related("store__host", "vm").get(
        key=work.job.parameters["generation"]
    )
    level = work.job.parameters["level"]
    # What was found wrong in another way is looked at again: a clean result takes all of it back.
    levels = {level} | ({FILES, CONTENT} & {fault["level"] for fault in generation.faults})
    with _shelf(work, generation) as shelf:
        examination = Examination(shelf)
        if FILES in levels:
            examination.files(generation.key)
        if CONTENT in levels:
            examination.content(generation.key)
        findings = examination.findings
        if damaged(findings):
            shelf.keeper.look()  # refuses if it is not the store any more: then nothing is damaged
    findings.setdefault(generation.key, [])
    record_faults(findings, {generation.key: levels}, timezone.now())
    bus.publish("coverage")
    generation.refresh_from_db()
    if generation.state == Generation.State.DAMAGED:
        sentences = (_damage(generation, damaged(findings)), begin_mending(generation))
        raise Failed(" ".join(sentences).strip())
    what = "its files are as they were written" if level == 1 else "every block is as backed up"
    return {
        "generation": generation.key,
        "level": level,
        "verified": True,
        "sentence": f"Generation {generation.key} of {generation.vm_name} is whole: {what}.",
    }


@contextlib.contextmanager
def _shelf(work: Work, generation: Generation) -> Iterator[Shelf]:
    store = generation.store
    policy = policy_of(generation.vm) if generation.vm else None
    cap = policy.bytes_per_second if policy else None
    with (
        private_machine(store.endpoint(), f"job-{work.job.pk}") as machine,
        Keeper(machine, store.path, panel_id(), str(store.store_id)) as keeper,
        Prover(machine, store.path, cap) as prover,
    ):
        wait_turn(work, lambda: keeper.lock(str(generation.vm_uuid), exclusive=False))
        yield Shelf(work, keeper, prover, generation)


def _damage(generation: Generation, affected: list[str]) -> str:
    """What is wrong, and who shows it too."""
    others = [key for key in affected if key != generation.key]
    also = f" {listed(others)} of the same VM show it too." if others else ""
    name, what = generation.vm_name, generation.damage
    return f"Generation {generation.key} of {name} is damaged: {what}.{also}"

"""Prove a generation: level 1 reads its files again, level 2 the content through QEMU.

Rot in an image shows in every generation built on it that did not rewrite the place: all of them
are written down, in one transaction, and none that still shows what was backed up.
"""

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from backups.models import Generation
from backups.rules.backup.spans import Spans
from backups.rules.copies.faults import CONTENT, FILES
from backups.selectors.copies.naming import called
from backups.selectors.policies.policies import policy_of
from backups.services.index import evidence
from backups.services.index.channels import job_machine
from backups.services.index.generation_reader import GenerationReader
from backups.services.index.identity import panel_id
from backups.services.index.record_faults import record_faults
from backups.services.index.signing import sign_read
from backups.services.index.waiting_turn import wait_turn
from backups.services.proof.examine import Examination, damaged
from backups.services.proof.mend import begin_mending
from labpanel.adapters.redis import bus
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.prover import Prover
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.io_fault import Access
from labpanel.lib.refusal import Refusal
from labpanel.lib.units import listed


def ask_for_verify(generation: Generation, level: int, *, asked_by: Actor = PANEL) -> Job:
    if level not in {FILES, CONTENT}:
        raise Refusal("The level of a verification is 1 (files) or 2 (content).")
    if generation.state == Generation.State.MISSING:
        raise Refusal(f"{generation.key} is gone from the store {generation.store.name}.", 409)
    return ledger.open_job(
        "verify",
        f"Check of {'the files of ' if level == FILES else ''}{called(generation)}",
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
        elif CONTENT in levels:
            _sign(shelf, generation)
    _note_unread(work, generation, examination.unread)
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


def _note_unread(work: Work, generation: Generation, unread: list[tuple[str, str, Spans]]) -> None:
    """What the store's machine could not read at all speaks against its drive."""
    store = generation.store
    if not unread:
        evidence.generation_was_read(store, generation.key)
    for key, file, spans in unread:
        kept = evidence.StoreFile(store, generation.vm, key, file)
        evidence.of_store(work.job, kept, Access.READ, spans, errno.EIO)


def _sign(shelf: GenerationReader, generation: Generation) -> None:
    """All of it was read, and nothing is wrong with it: from now on this panel vouches for it."""
    found = shelf.found(generation.key)
    if found is not None:
        sign_read(generation, shelf.keeper, found)


@contextlib.contextmanager
def _shelf(work: Work, generation: Generation) -> Iterator[GenerationReader]:
    store = generation.store
    policy = policy_of(generation.vm) if generation.vm else None
    cap = policy.bytes_per_second if policy else None
    with (
        job_machine(work, store) as machine,
        Keeper(machine, store.path, panel_id(), str(store.store_id)) as keeper,
        Prover(machine, store.path, cap) as prover,
    ):
        wait_turn(work, lambda: keeper.lock(str(generation.vm_uuid), exclusive=False))
        yield GenerationReader(work, keeper, prover, generation)


def _damage(generation: Generation, affected: list[str]) -> str:
    """What is wrong, and who shows it too."""
    others = [key for key in affected if key != generation.key]
    also = f" {listed(others)} of the same VM show it too." if others else ""
    name, what = generation.vm_name, generation.damage
    return f"Generation {generation.key} of {name} is damaged: {what}.{also}"

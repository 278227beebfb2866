"""Mend a generation: what rotted is taken from another store, or from what else is left, and takes
its place only when it is proven. What an image backs on is mended before it.

A generation that another one's rot shows in is whole again when that one is: so the ones that hold
the rot are mended, and all that were touched are looked at again.
"""

import contextlib
from typing import Any

from django.utils import timezone

from backups.models import Generation
from backups.rules.copies.faults import CONTENT, FILES, LOOK
from backups.rules.copies.trust import FORGED_WHAT
from backups.selectors.copies.naming import called
from backups.services.index.channels import job_machine
from backups.services.index.forget_pruned import take_manifest
from backups.services.index.generation_reader import GenerationReader
from backups.services.index.identity import panel_id
from backups.services.index.record_faults import faults_of, record_faults
from backups.services.index.waiting_turn import wait_turn
from backups.services.proof.examine import Examination
from backups.services.proof.mend_files import Mending
from backups.services.proof.mend_sources import MendSources
from labpanel.adapters.redis import bus
from labpanel.adapters.ssh.nbd_relay import private_machine
from labpanel.adapters.store.mender import Mender
from labpanel.adapters.store.prover import Prover
from labpanel.jobs import ledger
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.actor import PANEL, Actor, ActorKind
from labpanel.lib.refusal import Refusal


def ask_for_mend(generation: Generation, *, asked_by: Actor = PANEL) -> Job:
    """Open the job. Raises Refusal or Busy before anything was changed."""
    key, store = generation.key, generation.store
    if generation.state == Generation.State.MISSING:
        raise Refusal(f"{key} is gone from the store {store.name}; there is nothing to mend.", 409)
    if generation.trust == Generation.Trust.FORGED:
        raise Refusal(f"{key} {FORGED_WHAT}: there is nothing that it could be mended to.", 409)
    if generation.state != Generation.State.DAMAGED:
        raise Refusal(f"Nothing is known to be wrong with {key}; verify it first.", 409)
    return ledger.open_job(
        "mend",
        f"Mending of {called(generation)}",
        subject=f"generation:{key}",
        lock_key=f"mend:{store.pk}:{generation.vm_uuid}",
        asked_by=asked_by,
        parameters={"generation": key},
    )


def begin_mending(generation: Generation) -> str:
    """Ask for a mending if another store can help; a sentence on that for who reads the damage."""
    if generation.trust == Generation.Trust.FORGED:
        return ""
    if not any(fault.level in {FILES, CONTENT} for fault in faults_of(generation)):
        return ""  # its source could not be read: nothing rotted here
    holding = Generation.objects.filter(vm_uuid=generation.vm_uuid)
    elsewhere = holding.exclude(state=Generation.State.MISSING).exclude(store=generation.store)
    if not elsewhere.exists():
        return (
            f"No other store holds this VM: `./panel mend {generation.key}` tries what is left "
            f"here, and the next backup sends again what is lost."
        )
    try:
        job = ask_for_mend(
            generation, asked_by=Actor(ActorKind.PANEL, "the verification that found it")
        )
    except Busy as busy:
        job = busy.job
    return f"It is being mended (job {job.pk})."


def mend(work: Work) -> dict[str, Any]:
    """Do the job. What cannot be mended ends it as failed, with what and where."""
    generation = Generation.objects.select_related("store__host").get(
        key=work.job.parameters["generation"]
    )
    store, uuid = generation.store, str(generation.vm_uuid)
    with contextlib.ExitStack() as stack:
        machine = stack.enter_context(job_machine(work, store))
        mender = stack.enter_context(Mender(machine, store.path, panel_id(), str(store.store_id)))
        prover = stack.enter_context(Prover(machine, store.path))
        wait_turn(work, lambda: mender.ready(uuid, lambda _: work.check()))
        shelf = GenerationReader(work, mender, prover, generation)
        if any(fault.level == LOOK for fault in faults_of(generation)):
            _look_closer(shelf, generation.key)
        sources = MendSources(work, generation, mender, shelf, stack)
        left = _mend_all(Mending(work, mender, shelf, sources), generation.key)
        _look_again(shelf, generation.key)
    bus.publish("coverage")
    generation.refresh_from_db()
    return _result(generation, left)


def _look_closer(shelf: GenerationReader, key: str) -> None:
    """A look at the store says too little of what is wrong: name each file."""
    examination = Examination(shelf)
    examination.files(key)
    record_faults(examination.findings, {}, timezone.now())


def _mend_all(mending: Mending, key: str) -> list[str]:
    """Those whose files are wrong, oldest first; a sentence for what could not be mended."""
    shelf, left = mending.shelf, []
    known = shelf.generations
    holding = {key} | {fault.of for fault in faults_of(Generation.objects.get(key=key))}
    for one in sorted(holding & known.keys()):  # a key begins with its time: parents come first
        left += mending.generation(Generation.objects.get(key=one))
    return left


def _look_again(shelf: GenerationReader, key: str) -> None:
    """Both levels of all that were known to be wrong: what was mended is proven by reading."""
    shelf.forget()
    examination, levels = Examination(shelf), {FILES, CONTENT}
    rows = Generation.objects.filter(key__in=shelf.generations, state=Generation.State.DAMAGED)
    keys = sorted({key, *rows.values_list("key", flat=True)})
    for one in keys:
        examination.files(one)
        examination.content(one)
    shelf.keeper.look()  # refuses if it is not the store any more: then nothing is damaged
    for one in keys:
        take_manifest(shelf.generations[one], shelf.manifest(one))
    record_faults(examination.findings, dict.fromkeys(keys, levels), timezone.now())


def _result(generation: Generation, left: list[str]) -> dict[str, Any]:
    key, name = generation.key, generation.vm_name
    if generation.state == Generation.State.DAMAGED:
        why = f" {' '.join(left)}" if left else ""
        raise Failed(
            f"Generation {key} of {name} could not be mended in whole: {generation.damage}.{why} "
            f"The next backup to {generation.store.name} sends it again."
        )
    return {
        "generation": key,
        "mended": True,
        "sentence": f"Generation {key} of {name} is mended, and proven by reading all of it.",
    }


def settle(job: Job) -> str:
    """Its worker died. Each file is the rotten one or the proven new one; an image that was just
    taking its place is brought there."""
    generation = Generation.objects.select_related("store__host").get(
        key=job.parameters["generation"]
    )
    store = generation.store
    with (
        private_machine(store.endpoint(), f"settle-{job.pk}") as machine,
        Mender(machine, store.path, panel_id(), str(store.store_id)) as mender,
    ):
        mender.ready(str(generation.vm_uuid), lambda _: None)
    return (
        f"The worker died while it mended {generation.key}; nothing that was whole was changed. "
        f"Mend it again."
    )

"""Prune the copies of a VM in a store: what its policy does not keep goes, by merging.

The plan is made again in the job, under the lock on the VM, so that no backup comes between. What
an unfinished prune leaves reads as before; the next one takes it up (see onhost/store/pruner.py).
"""

from typing import Any

from backups.models import Store
from backups.selectors.copies.retention import RetentionPlan, plan
from backups.services.index.channels import job_machine
from backups.services.index.forget_pruned import Dropping, catch_up, forget_pruned
from backups.services.index.identity import panel_id
from hosts.models import VM
from hosts.selectors.two_hosts import held_back
from labpanel.adapters.redis import bus
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.adapters.store.pruner import Pruned, Pruner
from labpanel.clock.services.doubt import doubt
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.notes import noted
from labpanel.jobs.work import Failed, Work
from labpanel.lib.actor import PANEL, Actor
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import Progress
from labpanel.lib.units import count, size

__all__ = ["ask_for_prune", "plan", "prune", "settle"]


def ask_for_prune(vm: VM, store: Store, *, asked_by: Actor = PANEL, policy: str = "") -> Job:
    """Open the job. `policy` is the name of the one that asks; of a VM that is gone only its owner
    does. Raises Refusal or Busy before anything was changed."""
    if policy and vm.missing_since is not None:
        raise Refusal(f"{vm.name} is gone from its host: its copies are pruned by hand only.", 409)
    if why := doubt() or _held_back(vm, store):
        raise Refusal(why, 409)
    return ledger.open_job(
        "prune",
        f"Prune {vm.name} in {store.name}",
        subject=f"vm:{vm.uuid}",
        lock_key=f"vm:{vm.uuid}",
        asked_by=asked_by,
        parameters={"vm_uuid": str(vm.uuid), "store": store.pk, "policy": policy},
    )


def prune(work: Work) -> dict[str, Any]:
    """Do the job; its result is the plan as it was carried out, with `freed_bytes`."""
    vm = VM.objects.get(uuid=work.job.parameters["vm_uuid"])
    store = Store.objects.select_related("host").get(pk=work.job.parameters["store"])
    if why := _held_back(vm, store):
        raise Failed(why)
    on_progress = _Telling(work).event
    with (
        job_machine(work, store) as machine,
        Pruner(machine, store.path, panel_id(), str(store.store_id)) as keeper,
    ):
        try:
            forget_pruned(store, keeper.take_up(str(vm.uuid), on_progress))
            # The clock may have jumped since the job was asked for.
            if why := doubt():
                raise Failed(f"{why} {_unchanged(vm, store)}")
            made = plan(vm, store)
            for each in made.fates:
                work.line(f"{each.generation.key} {each.verdict.sentence}.")
            work.note(Dropping(store.pk, tuple(made.drop)))
            done = keeper.prune(str(vm.uuid), made.drop, on_progress)
        except ScriptRefused as refusal:
            raise _explained(vm, store, refusal) from refusal
        forget_pruned(store, done.dropped)
        catch_up(store, keeper.look().entries)
    bus.publish("coverage")
    for path in done.left:
        work.line(f"{path} is not the panel's, and was left.")
    sentence = _sentence(made, done)
    return {**made.as_json(), "freed_bytes": done.freed_bytes, "sentence": sentence}


def _held_back(vm: VM, store: Store) -> str:
    """Which of two hosts is right is not known: the copies of the other one must not go."""
    why = held_back(vm)
    return f"Nothing of {vm.name} is pruned in {store.name}. {why}" if why else ""


class _Telling:
    """What the script says, as progress and lines of the job."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._step = ""

    def event(self, event: dict[str, Any]) -> None:
        self._work.check()
        if event["event"] == "step":
            self._step = event["text"]
            self._work.line(self._step)
        elif event["event"] == "progress":
            done, total = event["done_bytes"], event["total_bytes"]
            phase = self._step.rstrip(".") or "merging"
            self._work.progress(Progress(done, total, None, phase[:1].lower() + phase[1:]))


def _explained(vm: VM, store: Store, refusal: ScriptRefused) -> Failed:
    todo = {
        "full": "Make room there and prune again.",
        "damaged": "Verify it, so that it is mended; until then nothing is merged into it.",
        "busy": "It is pruned the next time.",
    }.get(refusal.code, "Prune again when that is mended.")
    return Failed(f"{refusal.sentence} {_unchanged(vm, store)} {todo}", refusal.detail)


def _unchanged(vm: VM, store: Store) -> str:
    return f"Nothing of {vm.name} that is kept in {store.name} has changed."


def _sentence(made: RetentionPlan, done: Pruned) -> str:
    kept = sum(not each.dropped for each in made.fates)
    stays = count(kept, "copy stays", "copies stay")
    name, where = made.vm.name, made.store.name
    if not done.dropped:
        return f"Nothing of {name} in {where} had to go; {stays}."
    gone = count(len(done.dropped), "copy is", "copies are")
    # What was packed in the oldest image lies unpacked in it now: at times nothing is won.
    won = f"; {size(done.freed_bytes)} more are free" if done.freed_bytes else ""
    return f"{gone} gone from {where}, {stays}{won}."


def settle(job: Job) -> str:
    """The script ends with its worker. What it was at reads as before, and is ended by the next
    prune; only the rows of what is gone already are taken back here."""
    asked = noted(job, Dropping)
    if asked is None:
        return "The worker died before anything was begun; nothing is left to clean up."
    store = Store.objects.select_related("host").get(pk=asked.store)
    with Keeper(Machine(store.endpoint()), store.path, panel_id(), str(store.store_id)) as keeper:
        seen = keeper.look()
    there = {entry.key for entry in seen.entries}
    gone = [key for key in asked.drop if key not in there]
    forget_pruned(store, gone)
    catch_up(store, seen.entries)
    if seen.pruned:
        return (
            "The worker died while it merged; every copy that stays reads as before, and the next "
            "prune ends it."
        )
    if gone:
        return f"The worker died at the very end; {count(len(gone), 'copy is', 'copies are')} gone."
    return "The worker died before it had merged anything; every copy is as it was."

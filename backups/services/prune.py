"""Prune the copies of a VM in a store: what its policy does not keep goes, by merging.

The plan is made again in the job, under the lock on the VM, so that no backup comes between. What
a prune leaves half-done reads as before; the next one takes it up (see scripts/pruner.py).
"""

from typing import Any

from backups.models import Store
from backups.selectors.retention import Plan, plan
from backups.services.forget_pruned import catch_up, forget_pruned
from backups.services.identity import panel_id
from backups.services.settle import close_channel
from hosts.models import VM
from labpanel.adapters import bus
from labpanel.adapters.machine import Machine
from labpanel.adapters.nbd_relay import private_machine
from labpanel.adapters.pruner import Pruned, Pruner
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs import ledger
from labpanel.jobs.models import Job
from labpanel.jobs.work import Failed, Work
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import Progress
from labpanel.lib.units import count, size

__all__ = ["ask_for_prune", "plan", "prune", "settle"]


def ask_for_prune(vm: VM, store: Store, *, asked_by: str = "", policy: str = "") -> Job:
    """Open the job. `policy` is the name of the one that asks; of a VM that is gone only its owner
    does. Raises Refusal or Busy before anything was changed."""
    if policy and vm.missing_since is not None:
        raise Refusal(f"{vm.name} is gone from its host: its copies are pruned by hand only.", 409)
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
    told = _Telling(work).event
    with (
        private_machine(store.endpoint(), f"job-{work.job.pk}") as machine,
        Pruner(machine, store.path, panel_id(), str(store.store_id)) as keeper,
    ):
        try:
            forget_pruned(store, keeper.take_up(str(vm.uuid), told))
            made = plan(vm, store)
            for each in made.fates:
                work.line(f"{each.generation.key} {each.verdict.sentence}.")
            work.remember(store=store.pk, drop=made.drop)
            done = keeper.prune(str(vm.uuid), made.drop, told)
        except ScriptRefused as refusal:
            raise _explained(vm, store, refusal) from refusal
        forget_pruned(store, done.dropped)
        catch_up(store, keeper.look()["generations"])
    bus.publish("coverage")
    for path in done.left:
        work.line(f"{path} is not the panel's, and was left.")
    sentence = _sentence(made, done)
    return {**made.as_json(), "freed_bytes": done.freed_bytes, "sentence": sentence}


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
    after = f"Nothing of {vm.name} that is kept in {store.name} has changed."
    todo = {
        "full": "Make room there and prune again.",
        "damaged": "Verify it, so that it is mended; until then nothing is merged into it.",
        "busy": "It is pruned the next time.",
    }.get(refusal.code, "Prune again when that is mended.")
    return Failed(f"{refusal.sentence} {after} {todo}", refusal.detail)


def _sentence(made: Plan, done: Pruned) -> str:
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
    left = job.state_data
    if "drop" not in left:
        return "The worker died before anything was begun; nothing is left to clean up."
    store = Store.objects.select_related("host").get(pk=left["store"])
    if store.host is not None:
        close_channel(job, store.host)
    with Keeper(Machine(store.endpoint()), store.path, panel_id(), str(store.store_id)) as keeper:
        seen = keeper.look()
    there = {entry["key"] for entry in seen["generations"]}
    gone = [key for key in left["drop"] if key not in there]
    forget_pruned(store, gone)
    catch_up(store, seen["generations"])
    if seen["pruned"]:
        return (
            "The worker died while it merged; every copy that stays reads as before, and the next "
            "prune ends it."
        )
    if gone:
        return f"The worker died at the very end; {count(len(gone), 'copy is', 'copies are')} gone."
    return "The worker died before it had merged anything; every copy is as it was."

"""Ask for the pruning of what policies do not keep any more, after each new copy."""

import logging
from datetime import datetime, timedelta

from django.db.models import Count, Max

from backups.models import Generation, Policy, Store
from backups.rules.copies.trust import AHEAD
from backups.selectors.copies.retention import plan
from backups.selectors.policies.policies import Policies
from backups.selectors.stores.store_traffic import traffic
from backups.services.prune.prune import ask_for_prune
from hosts.models import VM
from labpanel.clock.services.doubt import doubt
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.actor import Actor
from labpanel.lib.clock import SLACK
from labpanel.lib.refusal import Refusal

log = logging.getLogger(__name__)
AGAIN = timedelta(hours=1)


def thin_out(now: datetime) -> list[Job]:
    """One turn; returns the jobs that it opened, one at a time in a store. A VM whose copies
    there are being read or written just now waits, and all do while the clock is in doubt."""
    if doubt():
        return []
    working = traffic()
    pruning = {each.store for each in working if each.kind == "prune"}
    reading = {(each.vm_uuid, each.store) for each in working}
    begun = []
    for vm, store, policy, unfinished in _crowded(now):
        if store.pk in pruning or (str(vm.uuid), store.pk) in reading:
            continue
        job = _ask(vm, store, policy) if unfinished or plan(vm, store).drop else None
        if job is not None:
            pruning.add(store.pk)
            begun.append(job)
    return begun


def _crowded(now: datetime) -> list[tuple[VM, Store, Policy, bool]]:
    """VMs with more copies in a store than the last ones that their policy keeps, or with a merge
    that broke off there (the last of the four says so), and no try at pruning them since the newest
    came, or for a while. Cheap: most are sorted out by counting."""
    policies = Policies()
    vms = {vm.uuid: vm for vm in VM.objects.filter(missing_since=None).defer("xml", "inactive_xml")}
    stores = {store.pk: store for store in Store.objects.filter(error="").select_related("host")}
    tried, broken_off = _tried(now), _broken_off()
    kept = Generation.objects.exclude(state=Generation.State.MISSING).order_by()
    counted = (
        kept.exclude(taken_at__gt=now + AHEAD)
        .values_list("vm_uuid", "store")
        .annotate(Count("pk"), Max("taken_at"))
    )
    found = []
    for uuid, store, count, newest in counted:
        vm = vms.get(uuid)
        policy = policies.of(vm) if vm else None
        if vm is None or policy is None or not policy.enabled or store not in stores:
            continue
        place = (str(uuid), store)
        before = tried.get(place)
        wanted = count > policy.keep_last or place in broken_off
        if wanted and (before is None or before < newest):
            found.append((vm, stores[store], policy, place in broken_off))
    return found


def _tried(now: datetime) -> dict[tuple[str, int], datetime]:
    """When the pruning of a VM's copies in a store was last asked for, a while ago at most."""
    recent = Job.objects.filter(
        kind="prune", created_at__range=(now - AGAIN, now + SLACK)
    ).order_by("created_at")
    return {
        (asked["vm_uuid"], asked["store"]): created
        for asked, created in recent.values_list("parameters", "created_at")
    }


def _broken_off() -> set[tuple[str, int]]:
    """VMs and stores whose last pruning died: what it had begun is taken up by the next."""
    asked = Job.objects.filter(kind="prune").exclude(ended_at=None).order_by("pk")
    last = {
        (parameters["vm_uuid"], parameters["store"]): state
        for parameters, state in asked.values_list("parameters", "state")
    }
    return {place for place, state in last.items() if state in {State.LOST, State.ERRORED}}


def _ask(vm: VM, store: Store, policy: Policy) -> Job | None:
    try:
        return ask_for_prune(vm, store, asked_by=Actor.policy(policy.name), policy=policy.name)
    except Busy as busy:
        log.info("pruning %s in %s waits: %s", vm.name, store.name, busy.sentence)
    except Refusal as refusal:
        log.info("pruning %s in %s: %s", vm.name, store.name, refusal.sentence)
    return None

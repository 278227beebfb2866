"""One turn of all policies: every backup that is due is asked for, once.

A turn may be killed anywhere and two may run at once: the row of a run and its job are written in
one transaction, under locks on the source host and the store, or not at all.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from backups.models import Generation, PolicyRun, Store
from backups.rules.copies.trust import AHEAD, DISTRUSTED
from backups.rules.policies.turns import TRY
from backups.selectors.policies.dues import BackupDue, dues
from backups.services.backup.back_up import ask_for_backup
from hosts.models import VM, Host
from labpanel.clock.services.doubt import doubt
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.jobs.states import ACTIVE
from labpanel.lib.actor import Actor
from labpanel.lib.clock import SLACK
from labpanel.lib.hints import BITMAP, UNCHANGED
from labpanel.lib.refusal import Refusal

log = logging.getLogger(__name__)
KEPT = timedelta(days=800)


def run_policies(now: datetime) -> list[Job]:
    """Ask for what is due and can be done now, the longest due first: one backup at a time from
    a host, and into a store. What must wait is looked at again in the next turn."""
    owed = [due for due in dues(now) if due.decision == TRY and not due.away]
    owed.sort(key=lambda due: (due.due_at, due.vm.name))
    hosts, stores = _at_work()
    begun = []
    for due in owed:
        store = due.place.store
        assert store is not None
        if due.vm.host_id in hosts or store.pk in stores:
            continue
        job = _begin(due, store, now)
        if job is not None:
            begun.append(job)
            hosts.add(due.vm.host_id)
            stores.add(store.pk)
    if not doubt():
        PolicyRun.objects.filter(due_at__lt=now - KEPT).delete()
    return begun


def _at_work() -> tuple[set[int], set[int]]:
    """Hosts that a backup reads from, and stores that one writes to."""
    active = Job.objects.filter(kind="backup", state__in=ACTIVE)
    asked = list(active.values_list("parameters", flat=True))
    sources = VM.objects.filter(uuid__in=[each["vm_uuid"] for each in asked])
    return set(sources.values_list("host_id", flat=True)), {each["store"] for each in asked}


def _begin(due: BackupDue, store: Store, now: datetime) -> Job | None:
    """Write the run and its job down together; None if it is not its turn after all."""
    try:
        with transaction.atomic():
            return _write(due, store, now)
    except Busy as busy:
        log.info("%s to %s waits: %s", due.vm.name, store.name, busy.sentence)
    except Refusal as refusal:
        log.info("%s to %s: %s", due.vm.name, store.name, refusal.sentence)
    return None


def _write(due: BackupDue, store: Store, now: datetime) -> Job | None:
    # Always the host first, then the store: two turns wait for each other and never for ever.
    Host.objects.select_for_update().get(pk=due.vm.host_id)
    Store.objects.select_for_update().get(pk=store.pk)
    hosts, stores = _at_work()
    if due.vm.host_id in hosts or store.pk in stores:
        return None
    assert due.due_at is not None  # what is to be tried is due
    run, _ = PolicyRun.objects.select_for_update().get_or_create(
        policy=due.policy, vm=due.vm, store=store, due_at=due.due_at
    )
    seen = due.last if due.last is not None and due.last.pk == run.pk else None
    if (run.tries, run.job_id) != ((seen.tries, seen.job_id) if seen else (0, None)):
        return None  # another turn was faster
    job = ask_for_backup(
        due.vm,
        store,
        asked_by=Actor.policy(due.policy.name),
        policy=due.policy.name,
        deep=_deep_is_due(due, store, now),
        freeze=due.policy.freeze,
        bytes_per_second=due.policy.bytes_per_second,
    )
    run.job, run.tries = job, run.tries + 1
    run.save(update_fields=["job", "tries"])
    return job


def _deep_is_due(due: BackupDue, store: Store, now: datetime) -> bool:
    """Whether it is time to read everything, whatever the bitmap says. A VM without a copy is read
    in full anyway."""
    copies = Generation.objects.filter(
        vm_uuid=due.vm.uuid, store=store, state=Generation.State.COMPLETE
    )
    copies = copies.exclude(trust__in=DISTRUSTED).exclude(taken_at__gt=now + AHEAD)
    read = copies.exclude(disks__mode__in=[BITMAP, UNCHANGED]).order_by("-taken_at").first()
    if read is None:
        return copies.exists()
    return not -SLACK <= now - read.taken_at < timedelta(days=due.policy.deep_days)

"""Keep copies proven: read them back and boot them as often as their policies ask for.

One such job at a time in a store, only while no other job uses it, and within the
policy's hours. What did not work is tried again after a while, not at every turn.
"""

import logging
from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from backups.models import Generation, Policy, Rehearsal
from backups.rules.copies.trust import AHEAD, DISTRUSTED
from backups.rules.policies.calendar import in_window
from backups.rules.policies.next_rehearsal import RehearsableCopy, to_rehearse
from backups.rules.policies.next_verification import due
from backups.selectors.policies.policies import Policies
from backups.selectors.stores.store_traffic import traffic
from backups.services.proof.verify import ask_for_verify
from backups.services.rehearsal.rehearse import ask_for_rehearsal
from hosts.models import VM, Host
from hosts.rules.health.presence import presence
from hosts.selectors.machines import same_machine
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.lib.actor import Actor
from labpanel.lib.clock import SLACK
from labpanel.lib.refusal import Refusal

log = logging.getLogger(__name__)
AGAIN = timedelta(hours=1)
# A copy that did not pass is looked at again the next day, not boot after boot.
NOT_PASSED = timedelta(hours=20)
_BOOT = 3  # as of verifying: 1 its files, 2 its content, 3 the whole of it, running


def keep_up(now: datetime) -> list[Job]:
    """One turn; returns the jobs that it opened. Two turns at once open no more than one job for
    a generation: the ledger's locks see to that."""
    busy = {each.store for each in traffic()}
    tried = _tried(now)
    boots = _a_host_answers(now)
    begun: list[Job] = []
    for policy, copies in _by_vm(now):
        if not in_window(now, policy.timezone, policy.window_start, policy.window_end):
            continue
        for level, key, store in _wanted(policy, copies, now):
            kind = "rehearse" if level == _BOOT else "verify"
            waits = kind == "rehearse" and not boots
            if waits or store in busy or (kind, key) in tried:
                continue
            job = _ask(level, key, policy)
            if job is not None:
                busy.add(store)
                begun.append(job)
    return begun


def _wanted(
    policy: Policy, copies: list[RehearsableCopy], now: datetime
) -> list[tuple[int, str, int]]:
    """What is to be done for one VM, in this order: level, generation's key, store."""
    boot = to_rehearse(copies, policy.rehearse_days, now)
    first = [(_BOOT, boot.key, boot.store)] if boot else []
    read = due(copies, policy.verify_days, now)
    return [*first, *((each.level, each.key, each.store) for each in read)]


def _by_vm(now: datetime) -> list[tuple[Policy, list[RehearsableCopy]]]:
    """Whole copies of each VM that a policy takes, VMs that vanished included: their copies are
    all that is left of them. A constant number of queries."""
    policies, kept = Policies(), _kept(now)
    vms = VM.objects.filter(uuid__in=kept).select_related("host").defer("xml", "inactive_xml")
    owned = [(policies.of(vm), vm) for vm in vms]
    return [
        (policy, [_copy(generation, vm) for generation in kept[vm.uuid]])
        for policy, vm in owned
        if policy is not None and policy.enabled
    ]


def _kept(now: datetime) -> dict[UUID, list[Generation]]:
    """By VM; what lies in a store that cannot be used now waits."""
    whole = Generation.objects.filter(state=Generation.State.COMPLETE, store__error="")
    # What others put there is read when its owner asks: reading it makes this panel vouch for it.
    counting = whole.exclude(trust__in=DISTRUSTED).exclude(taken_at__gt=now + AHEAD)
    read = counting.select_related("store__host").prefetch_related("disks").defer("manifest")
    found: dict[UUID, list[Generation]] = defaultdict(list)
    for generation in read:
        found[generation.vm_uuid].append(generation)
    return found


def _copy(generation: Generation, vm: VM) -> RehearsableCopy:
    return RehearsableCopy(
        key=generation.key,
        store=generation.store.pk,
        taken_at=generation.taken_at,
        targets=frozenset(disk.target for disk in generation.disks.all()),
        off_host=not same_machine(generation.store.host, vm.host),
        hashed_at=generation.hashed_at,
        verified_at=generation.verified_at,
        rehearsed_at=generation.rehearsed_at,
    )


def _a_host_answers(now: datetime) -> bool:
    """Right after a time without a panel no host was looked at yet, and none can boot a copy."""
    hosts = Host.objects.all()
    return any(presence(h.seen_at, h.failing_since, h.error, now).is_up for h in hosts)


def _tried(now: datetime) -> set[tuple[str, str]]:
    """(kind, generation's key) of what was begun a short while ago, or did not pass lately."""
    recent = Job.objects.filter(
        kind__in=("verify", "rehearse"), created_at__range=(now - AGAIN, now + SLACK)
    )
    found = {
        (kind, subject.removeprefix("generation:"))
        for kind, subject in recent.values_list("kind", "subject")
    }
    seen = Rehearsal.objects.filter(began_at__range=(now - NOT_PASSED, now + SLACK), passed=False)
    return found | {("rehearse", key) for key in seen.values_list("generation__key", flat=True)}


def _ask(level: int, key: str, policy: Policy) -> Job | None:
    generation = Generation.objects.select_related("store").get(key=key)
    asker = Actor.policy(policy.name)
    try:
        if level == _BOOT:
            return ask_for_rehearsal(generation, asked_by=asker)
        return ask_for_verify(generation, level, asked_by=asker)
    except Busy as busy:
        log.info("%s waits: %s", key, busy.sentence)
    except Refusal as refusal:
        log.info("%s: %s", key, refusal.sentence)
    return None

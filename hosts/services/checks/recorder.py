"""The one place where symptoms become findings: opened, changed, resolved, seen by their owner.

At most one is open for a host, kind and subject. Checks return what they saw (Look); whoever groups
findings of one cause later does so over the rows, and changes nothing here.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from hosts.models import VM, Finding, Host
from labpanel.adapters.redis import bus
from labpanel.symptoms.declared import DECLARED
from labpanel.symptoms.kinds import About, Kind
from labpanel.symptoms.stored import evidence_as_json, facts_as_json
from labpanel.symptoms.symptom import Look, Symptom


@transaction.atomic
def note(host: Host, look: Look, now: datetime) -> None:
    """Resolve what the look saw to be over, then open or change what it found."""
    over: dict[Kind, list[str]] = defaultdict(list)
    for kind, key in look.over:
        over[kind].append(key)
    for kind, keys in over.items():
        resolve(host, kind, keys, now)
    for symptom in look.found:
        record(host, symptom, now)


@transaction.atomic
def record(host: Host | None, symptom: Symptom, now: datetime) -> Finding:
    """Open the finding, or bring the open one up to date. One about a VM goes with the VM; one
    about no host (the panel itself) has none."""
    declared = DECLARED[symptom.kind]
    known = Finding.objects.filter(kind=symptom.kind, subject=symptom.subject.key, resolved_at=None)
    if declared.about is About.VM:
        known.exclude(host=host).update(host=host)
    told = {
        "subject_kind": symptom.subject.kind,
        "severity": symptom.level,
        "facts": facts_as_json(symptom.facts),
        "old_sentence": "",
        "old_advice": "",
        "evidence": evidence_as_json(symptom.evidence),
        "about": declared.about,
        "until_seen": declared.until_seen,
        "looked_at": now,
    }
    finding, fresh = Finding.objects.get_or_create(
        host=host,
        kind=symptom.kind,
        subject=symptom.subject.key,
        resolved_at=None,
        defaults={"opened_at": min(symptom.since or now, now), **told},
    )
    news = fresh or (finding.severity, finding.facts) != (told["severity"], told["facts"])
    for name, value in told.items():
        setattr(finding, name, value)
    if not fresh:
        finding.save(update_fields=told)
    if _touch(finding, symptom) or news:
        transaction.on_commit(_publish)
    return finding


def _touch(finding: Finding, symptom: Symptom) -> bool:
    """Set the VMs that it touches; True when they are others than before."""
    known = set(finding.vms.values_list("uuid", flat=True))
    if known == set(symptom.vms):
        return False
    finding.vms.set(VM.objects.filter(uuid__in=symptom.vms))
    return True


def resolve(host: Host | None, kind: Kind, subjects: Iterable[str], now: datetime) -> int:
    """End the open findings of these subjects, whose trouble was seen to be over."""
    found = Finding.objects.filter(host=host, kind=kind, subject__in=list(subjects))
    return _end(found.filter(resolved_at=None), now)


def resolve_of_vm(uuid: str, kinds: Iterable[Kind], now: datetime) -> int:
    """End a VM's open findings of these kinds, on whichever host they stand. The subject of a
    finding about a VM is the VM's UUID, or begins with it."""
    return _end(_of_vm(uuid).filter(kind__in=list(kinds)), now)


def end(findings: Iterable[Finding], now: datetime) -> int:
    """End these, whatever they are about."""
    keys = [each.pk for each in findings]
    return _end(Finding.objects.filter(pk__in=keys, resolved_at=None), now)


def end_of_vm(uuid: str, now: datetime) -> int:
    """End all that is open about a VM, which the panel is about to forget."""
    return _end(_of_vm(uuid), now)


def end_as_seen(finding: Finding, by: str, now: datetime) -> None:
    """Its owner has seen it: one that stands until then is over."""
    finding.resolved_at = now
    finding.ended_by = by[:150] or "unknown"
    finding.save(update_fields=["resolved_at", "ended_by"])
    transaction.on_commit(_publish)


def _of_vm(uuid: str) -> QuerySet[Finding]:
    about = Finding.objects.filter(about=About.VM, resolved_at=None)
    return about.filter(subject__startswith=uuid)


def _end(found: QuerySet[Finding], now: datetime) -> int:
    ended = found.update(resolved_at=now, looked_at=now)
    if ended:
        transaction.on_commit(_publish)
    return ended


def _publish() -> None:
    bus.publish("health")

"""Opening, changing and resolving findings. At most one is open for a host, kind and subject."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from hosts.models import VM, Finding, Host
from labpanel.adapters import bus


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a finding should say. `since` is when it began, where that is known."""

    kind: str
    subject: str
    severity: str
    sentence: str
    advice: str = ""
    evidence: list[dict[str, object]] = field(default_factory=list)
    vms: tuple[VM, ...] = ()
    since: datetime | None = None


def report(host: Host, trouble: Trouble, now: datetime) -> Finding:
    """Open the finding, or bring the open one up to date."""
    finding = _open(host, trouble.kind, trouble.subject)
    if finding is None:
        finding = Finding(host=host, kind=trouble.kind, subject=trouble.subject)
        finding.opened_at = min(trouble.since or now, now)
    changed = (finding.severity, finding.sentence) != (trouble.severity, trouble.sentence)
    finding.severity = trouble.severity
    finding.sentence = trouble.sentence
    finding.advice = trouble.advice
    finding.evidence = trouble.evidence
    finding.looked_at = now
    finding.save()
    known = set(finding.vms.values_list("pk", flat=True))
    if known != {vm.pk for vm in trouble.vms}:
        finding.vms.set(trouble.vms)
        changed = True
    if changed:
        transaction.on_commit(_tell)
    return finding


def resolve(host: Host, kind: str, subjects: Iterable[str], now: datetime) -> int:
    """End the open findings of these subjects, whose trouble was seen to be over."""
    ended = Finding.objects.filter(
        host=host, kind=kind, subject__in=list(subjects), resolved_at=None
    ).update(resolved_at=now, looked_at=now)
    if ended:
        transaction.on_commit(_tell)
    return ended


def _open(host: Host, kind: str, subject: str) -> Finding | None:
    return Finding.objects.filter(host=host, kind=kind, subject=subject, resolved_at=None).first()


def _tell() -> None:
    bus.publish("health")

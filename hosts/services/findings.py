"""Opening, changing and resolving findings. At most one is open for a host, kind and subject."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils import timezone

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


@transaction.atomic
def report(host: Host, trouble: Trouble, now: datetime) -> Finding:
    """Open the finding, or bring the open one up to date."""
    finding, fresh = Finding.objects.get_or_create(
        host=host,
        kind=trouble.kind,
        subject=trouble.subject,
        resolved_at=None,
        defaults={
            "opened_at": min(trouble.since or now, now),
            "looked_at": now,
            "severity": trouble.severity,
            "sentence": trouble.sentence,
        },
    )
    told = (finding.severity, finding.sentence)
    changed = fresh or told != (trouble.severity, trouble.sentence)
    finding.severity = trouble.severity
    finding.sentence = trouble.sentence
    finding.advice = trouble.advice
    finding.evidence = trouble.evidence
    finding.looked_at = now
    finding.save(update_fields=["severity", "sentence", "advice", "evidence", "looked_at"])
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


def _tell() -> None:
    bus.publish("health")


def clock(at: datetime, now: datetime) -> str:
    """02:14 of today; with the date when it was another day."""
    here, today = timezone.localtime(at), timezone.localtime(now)
    return f"{here:%H:%M}" if here.date() == today.date() else f"{here:%Y-%m-%d %H:%M}"

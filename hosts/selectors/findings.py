"""Troubles and evidence, for pages, API and command line alike."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from hosts.models import Finding, Host, PhysicalDisk, Reading


def open_findings(host: Host | None = None) -> list[Finding]:
    """What is wrong now, the worst and oldest first; hosts and VMs are fetched with it."""
    found = _all(host).filter(resolved_at=None)
    return sorted(found, key=lambda each: (each.severity != "bad", each.opened_at))


# Four turns of the check: green means looked at recently.
CHECKED_SECONDS = 120


def checked(now: datetime) -> set[int]:
    """Keys of the hosts whose file systems were looked at within CHECKED_SECONDS, whatever was
    found. One query."""
    recently = now - timedelta(seconds=CHECKED_SECONDS)
    looks = Reading.objects.filter(kind="canary", value__error="", last_at__gte=recently)
    return set(looks.values_list("host", flat=True))


def past_findings(host: Host | None = None, limit: int = 50) -> list[Finding]:
    """What was wrong and is over, newest first."""
    return list(_all(host).exclude(resolved_at=None).order_by("-resolved_at")[:limit])


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """A trouble as API and command line show it. Times are ISO 8601 in UTC."""

    id: int
    host: str
    vm: str | None
    kind: str
    subject: str
    severity: str
    title: str
    advice: str
    opened_at: str
    looked_at: str
    resolved_at: str | None
    evidence: list[dict[str, Any]]
    affected: list[dict[str, str]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def incident_list(*, past: bool = False, host: Host | None = None) -> list[IncidentRow]:
    """Open troubles, worst first; with `past`, those that are over behind them."""
    found = open_findings(host) + (past_findings(host) if past else [])
    return [_row(each) for each in found]


def _row(finding: Finding) -> IncidentRow:
    affected = [{"vm": vm.name, "vm_uuid": str(vm.uuid)} for vm in finding.vms.all()]
    return IncidentRow(
        id=finding.pk,
        host=finding.host.name,
        vm=affected[0]["vm"] if len(affected) == 1 else None,
        kind=finding.kind,
        subject=finding.subject,
        severity=finding.severity,
        title=finding.sentence,
        advice=finding.advice,
        opened_at=finding.opened_at.isoformat(),
        looked_at=finding.looked_at.isoformat(),
        resolved_at=finding.resolved_at.isoformat() if finding.resolved_at else None,
        evidence=finding.evidence,
        affected=affected,
    )


def history(host: Host, kind: str, subject: str = "", limit: int = 100) -> list[Reading]:
    """Stretches of time in which a sentinel read the same, newest first."""
    return list(
        Reading.objects.filter(host=host, kind=kind, subject=subject).order_by("-last_at")[:limit]
    )


@dataclass(frozen=True, slots=True)
class DriveState:
    """A drive and what it said last. `level`: good, watch, bad, unknown; `at` is when."""

    disk: PhysicalDisk
    level: str
    reason: str
    at: datetime | None
    temperature: int | None
    hours: int | None
    values: dict[str, Any]


def drives(host: Host) -> list[DriveState]:
    """Every drive of the host. One that gave no data is unknown, never good."""
    rows = Reading.objects.filter(host=host, kind__in=("smart", "smart-now"))
    newest: dict[tuple[str, str], Reading] = {}
    for row in rows.order_by("-last_at", "-pk")[:400]:
        newest.setdefault((row.kind, row.subject), row)
    return [
        _state(disk, newest.get(("smart", disk.key)), newest.get(("smart-now", disk.key)))
        for disk in PhysicalDisk.objects.filter(host=host)
    ]


def _state(disk: PhysicalDisk, said: Reading | None, now: Reading | None) -> DriveState:
    values = said.value if said is not None else {}
    numbers = now.value if now is not None else {}
    return DriveState(
        disk=disk,
        level=values.get("level", "unknown"),
        reason=values.get("reason", "it gave no SMART data"),
        at=said.last_at if said is not None else None,
        temperature=numbers.get("temperature"),
        hours=numbers.get("hours"),
        values=values,
    )


def _all(host: Host | None) -> Any:
    found: Any = Finding.objects.select_related("host").prefetch_related("vms")
    return found if host is None else found.filter(host=host)


def worst(findings: Sequence[Finding]) -> str:
    """The level of all of them together: good, watch or bad."""
    return max((each.severity for each in findings), key=("watch", "bad").index, default="good")

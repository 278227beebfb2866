"""Troubles and evidence, for pages, API and command line alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hosts.models import Finding, Host, PhysicalDisk, Reading


def open_findings(host: Host | None = None) -> list[Finding]:
    """What is wrong now, the worst and oldest first; hosts and VMs are fetched with it."""
    found = _all(host).filter(resolved_at=None)
    return sorted(found, key=lambda each: (each.severity != "bad", each.opened_at))


def past_findings(host: Host | None = None, limit: int = 50) -> list[Finding]:
    """What was wrong and is over, newest first."""
    return list(_all(host).exclude(resolved_at=None).order_by("-resolved_at")[:limit])


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

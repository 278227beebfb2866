"""Troubles and evidence, for pages, API and command line alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Min, Prefetch, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from hosts.models import VM, Finding, Host, PhysicalDisk, Reading
from hosts.rules.health import drives as drive_rule
from hosts.rules.health import suspects
from hosts.selectors import drive_words
from labpanel.lib.clock import SLACK
from labpanel.symptoms.kinds import About, Kind, Level


def open_findings(host: Host | None = None) -> list[Finding]:
    """What is wrong now, the worst and oldest first; hosts and VMs are fetched with it."""
    found = _all(host).filter(resolved_at=None)
    return sorted(found, key=lambda each: (each.severity != "bad", each.opened_at))


def ill_hosts(findings: Iterable[Finding]) -> set[int]:
    """Keys of the hosts that a move refuses as destinations, so that nothing is brought there."""
    own = (each for each in findings if each.about == About.HOST)
    bad = (each.host_id for each in own if each.severity == Level.BAD)
    return {host for host in bad if host is not None}


def suspect_since() -> dict[UUID, datetime]:
    """Of VMs whose disks are suspect now, since when: what was copied later may hold the damage.
    One query."""
    open_ones = Finding.objects.filter(
        resolved_at=None, severity=suspects.BAD, kind__in=suspects.KINDS, vms__isnull=False
    )
    found = open_ones.order_by().values("vms__uuid").annotate(since=Min("opened_at"))
    return dict(found.values_list("vms__uuid", "since"))


# What can be done about a trouble at once.
RESUME, START, ACKNOWLEDGE = "resume", "start", "acknowledge"

_OLD_MINUTES = int(drive_rule.OLD.total_seconds() // 60)
_LATELY = 600  # readings: some hours of ten drives
_LEVEL_WORDS = {"bad": "failing", "watch": "to be watched"}
# Four turns of the check: green means looked at recently.
CHECKED_SECONDS = 120


def checked(now: datetime) -> set[int]:
    """Keys of the hosts whose file systems were looked at within CHECKED_SECONDS, whatever was
    found. One query."""
    recently = now - timedelta(seconds=CHECKED_SECONDS)
    looks = Reading.objects.filter(
        kind="canary", value__error="", last_at__range=(recently, now + SLACK)
    )
    return set(looks.values_list("host", flat=True))


def past_findings(host: Host | None = None, limit: int = 50) -> list[Finding]:
    """What was wrong and is over, newest first."""
    return list(_all(host).exclude(resolved_at=None).order_by("-resolved_at")[:limit])


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """A trouble as API and command line show it. Times are ISO 8601 in UTC. `acts` are what its
    owner can do about it at once: resume, start, acknowledge."""

    id: int
    host: str
    vm: str | None
    kind: str
    about: str
    subject: str
    severity: str
    title: str
    advice: str
    opened_at: str
    looked_at: str
    resolved_at: str | None
    evidence: list[dict[str, Any]]
    affected: list[dict[str, str]]
    acts: list[str]


def incident_list(host: Host | None = None) -> list[IncidentRow]:
    """Open findings, worst first. All that is wrong is more: labpanel/home/selectors/wrong.py."""
    return [incident_row(each) for each in open_findings(host)]


def past_incidents(host: Host | None = None) -> list[IncidentRow]:
    """Those that are over, newest first."""
    return [incident_row(each) for each in past_findings(host)]


def incident_row(finding: Finding) -> IncidentRow:
    wording = finding.wording
    affected = [{"vm": vm.name, "vm_uuid": str(vm.uuid)} for vm in finding.vms.all()]
    return IncidentRow(
        id=finding.pk,
        host=finding.where,
        vm=affected[0]["vm"] if len(affected) == 1 else None,
        kind=finding.kind,
        about=finding.about,
        subject=finding.subject,
        severity=finding.severity,
        title=wording.headline,
        advice=wording.advice,
        opened_at=finding.opened_at.isoformat(),
        looked_at=finding.looked_at.isoformat(),
        resolved_at=finding.resolved_at.isoformat() if finding.resolved_at else None,
        evidence=finding.evidence,
        affected=affected,
        acts=acts(finding),
    )


_FIRST_ACTS: dict[str, list[str]] = {
    Kind.VM_PAUSED: [RESUME],
    Kind.VM_CRASHED: [START],
    Kind.VM_OFF: [START],
}


def acts(finding: Finding) -> list[str]:
    """What its owner can do about an open one at once."""
    if finding.resolved_at is not None:
        return []
    first = _FIRST_ACTS.get(finding.kind, [])
    return [*first, *([ACKNOWLEDGE] if finding.until_seen else [])]


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


def drives(host: Host, now: datetime | None = None) -> list[DriveState]:
    """Every drive of the host. One that gave no data is unknown, never good; so is one that was not
    read for longer than rule.OLD, whatever it said then."""
    now = now or timezone.now()
    kinds = ("smart", "smart-now", "smart-sleep")
    disks = list(PhysicalDisk.objects.filter(host=host))
    rows = Reading.objects.filter(host=host, kind__in=kinds, last_at__lte=now + SLACK)
    newest: dict[tuple[str, str], Reading] = {}
    lately = list(rows.order_by("-last_at", "-pk")[:_LATELY])
    for row in lately:
        newest.setdefault((row.kind, row.subject), row)
    # A drive that sleeps gave its last answer before all these: its few rows are read apart.
    quiet = [disk.key for disk in disks if ("smart", disk.key) not in newest]
    if quiet and len(lately) == _LATELY:
        first = Window(RowNumber(), partition_by=["kind", "subject"], order_by=["-last_at", "-pk"])
        last = rows.filter(subject__in=quiet).annotate(place=first).filter(place=1)
        newest.update({(row.kind, row.subject): row for row in last.order_by()})
    return [
        _state(disk, {kind: newest.get((kind, disk.key)) for kind in kinds}, now) for disk in disks
    ]


def _state(disk: PhysicalDisk, newest: dict[str, Reading | None], now: datetime) -> DriveState:
    said, read = newest["smart"], newest["smart-now"]
    values = said.value if said is not None else {}
    numbers = read.value if read is not None else {}
    level = values.get("level", "unknown")
    reason = drive_words.reason(values)
    if said is not None and level != "unknown" and now - said.last_at > drive_rule.OLD:
        why = f"it has not answered for more than {_OLD_MINUTES} min"
        if _sleeps(newest["smart-sleep"], now):
            why = "it sleeps and is not woken"
        reason = f"{why}; its last answer was {_LEVEL_WORDS.get(level, level)}: {reason}"
        level = "unknown"
    return DriveState(
        disk=disk,
        level=level,
        reason=reason,
        at=said.last_at if said is not None else None,
        temperature=numbers.get("temperature"),
        hours=numbers.get("hours"),
        values=values,
    )


def _sleeps(looked: Reading | None, now: datetime) -> bool:
    if looked is None or now - looked.last_at > drive_rule.OLD:
        return False
    return bool(looked.value.get("asleep"))


def _all(host: Host | None) -> Any:
    vms = Prefetch("vms", VM.objects.select_related("host"))
    found: Any = Finding.objects.select_related("host").prefetch_related(vms)
    return found if host is None else found.filter(host=host)


def worst(findings: Sequence[Finding]) -> str:
    """The level of all of them together: good, watch or bad."""
    return max((each.severity for each in findings), key=("watch", "bad").index, default="good")

"""All that is wrong, worst first: the one source of overview, pages, `./panel incidents` and API.

Findings alone are not all: a host is silent before that is a finding, a disk may have no copy, a
copy may count for nothing, the clock may be in doubt. Who asks at the same second hears the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from backups.selectors.copies.doubtful import Doubtful, doubtful
from backups.selectors.coverage.coverage import CoverageRow, coverage
from hosts.models import VM, Finding, Host
from hosts.rules.health.presence import Presence, presence
from hosts.selectors.findings import IncidentRow, checked, incident_row, open_findings
from labpanel.clock.selectors import doubted
from labpanel.home.state import DiskState, Headline, Silence, spoken
from labpanel.symptoms.kinds import About, Kind


@dataclass(frozen=True, slots=True)
class LabFacts:
    """What is known of a lab, or of one host, at one time; read once for all who need it."""

    now: datetime
    hosts: list[Host]
    vms: list[VM]
    findings: list[Finding]
    rows: list[CoverageRow]
    copies: list[Doubtful]
    clock: str
    looked_at: set[int]
    presences: dict[int, Presence] = field(default_factory=dict)


def facts(now: datetime, host: Host | None = None) -> LabFacts:
    """The number of queries does not depend on what is there."""
    hosts = [host] if host else list(Host.objects.all())
    vms = host.vms.select_related("host") if host else VM.objects.select_related("host")
    return LabFacts(
        now=now,
        hosts=hosts,
        vms=list(vms.filter(missing_since=None).defer("xml", "inactive_xml")),
        findings=open_findings(host),
        rows=coverage(now, host=host),
        copies=[] if host else doubtful(now),
        clock="" if host else doubted(),
        looked_at=checked(now),
        presences={each.pk: host_presence(each, now) for each in hosts},
    )


def wrong(known: LabFacts) -> list[Headline]:
    """Worst first; empty where all is well."""
    return spoken(
        known.findings,
        _silences(known),
        disks_of(known.rows),
        [each.name for each in known.hosts if _is_unchecked(known, each)],
        known.clock,
        known.copies,
    )


def disks_of(rows: Sequence[CoverageRow]) -> list[DiskState]:
    return [DiskState(row.vm, row.disk, row.level, row.reason, row.host) for row in rows]


class IncidentJson(TypedDict):
    """A trouble; what is no finding has no number, and what it lacks is null. Times are ISO 8601 in
    UTC. `acts` are what its owner can do about it at once: resume, start, acknowledge."""

    id: int | None
    host: str | None
    vm: str | None
    kind: str
    about: str
    subject: str
    severity: str
    title: str
    advice: str
    opened_at: str | None
    looked_at: str | None
    resolved_at: str | None
    evidence: list[dict[str, Any]]
    affected: list[dict[str, str]]
    acts: list[str]
    store: NotRequired[str]


def incident_json(row: IncidentRow) -> IncidentJson:
    return {
        "id": row.id,
        "host": row.host,
        "vm": row.vm,
        "kind": row.kind,
        "about": row.about,
        "subject": row.subject,
        "severity": row.severity,
        "title": row.title,
        "advice": row.advice,
        "opened_at": row.opened_at,
        "looked_at": row.looked_at,
        "resolved_at": row.resolved_at,
        "evidence": row.evidence,
        "affected": row.affected,
        "acts": row.acts,
    }


def as_json(item: Headline) -> IncidentJson:
    if isinstance(item.finding, Finding):
        return incident_json(incident_row(item.finding))
    found: IncidentJson = {
        "id": None,
        "host": item.place or None,
        "vm": item.vms[0] if len(item.vms) == 1 else None,
        "kind": item.kind,
        "about": item.about,
        "subject": item.subject,
        "severity": item.level,
        "title": item.title,
        "advice": item.text,
        "opened_at": item.since.isoformat() if item.since else None,
        "looked_at": None,
        "resolved_at": None,
        "evidence": [],
        "affected": [{"vm": name} for name in item.vms],
        "acts": [],
    }
    return {**found, "store": item.store} if item.store else found


def host_presence(host: Host, now: datetime) -> Presence:
    """Of the two doors the one that is shut, else SSH's."""
    machine = presence(host.seen_at, host.failing_since, host.error, now)
    if machine.state != "up" or host.libvirt_seen_at is None:
        return machine
    libvirt = presence(host.libvirt_seen_at, host.libvirt_failing_since, host.libvirt_error, now)
    return machine if libvirt.state == "up" else libvirt


def _silences(known: LabFacts) -> list[Silence]:
    found = []
    for host in known.hosts:
        seen = known.presences[host.pk]
        if seen.state != "up" and not _is_told(known, host):
            vms = tuple(vm.name for vm in known.vms if vm.host_id == host.pk)
            found.append(Silence(host.name, seen.since, seen.reason, vms))
    return found


def _is_told(known: LabFacts, host: Host) -> bool:
    """Whether a finding already says that the host, or its libvirt, does not answer."""
    return any(
        each.host_id == host.pk and each.kind in {Kind.HOST, Kind.LIBVIRT}
        for each in known.findings
    )


def _is_unchecked(known: LabFacts, host: Host) -> bool:
    """Nothing else is said of the host, and its file systems were not looked at."""
    own = [each for each in known.findings if each.host_id == host.pk and each.about == About.HOST]
    up = known.presences[host.pk].state == "up"
    return up and not own and not host.missing and host.pk not in known.looked_at

"""A host, or its libvirt, that does not answer is a trouble of its own."""

from datetime import datetime, timedelta

from hosts.models import Host
from hosts.services.checks import recorder
from labpanel.lib import tempo
from labpanel.symptoms.facts.hosts import SilentHost, SilentLibvirt
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Look, Symptom, SymptomSubject

GRACE = timedelta(seconds=tempo.NOW.reach_grace)


def check_reach(host: Host, now: datetime) -> None:
    """Open or resolve the findings "host" and "libvirt" from what the probe wrote down."""
    host.refresh_from_db()  # another task may have heard from it meanwhile
    look = Look()
    _weigh_ssh(host, look, now)
    if host.failing_since is None:  # a libvirt that cannot be asked is not a second trouble
        _weigh_libvirt(host, look, now)
    recorder.note(host, look, now)


def _weigh_ssh(host: Host, look: Look, now: datetime) -> None:
    began = host.failing_since
    if began is None:
        look.is_over(Kind.HOST, [""])
    elif now - began >= GRACE:
        facts = SilentHost(host.name, began, host.error if host.refused else "")
        evidence = _evidence("SSH", host.error, began, host.seen_at)
        look.found.append(_symptom(host, facts, evidence))


def _weigh_libvirt(host: Host, look: Look, now: datetime) -> None:
    began = host.libvirt_failing_since
    if began is None:
        look.is_over(Kind.LIBVIRT, [""])
    elif now - began >= GRACE:
        refusal = host.libvirt_error if host.libvirt_refused else ""
        facts = SilentLibvirt(host.name, began, refusal)
        evidence = _evidence("libvirt", host.libvirt_error, began, host.libvirt_seen_at)
        look.found.append(_symptom(host, facts, evidence))


def _symptom(
    host: Host, facts: SilentHost | SilentLibvirt, evidence: tuple[Evidence, ...]
) -> Symptom:
    return Symptom(
        SymptomSubject(SubjectKind.HOST),
        Level.BAD,
        facts,
        evidence,
        vms=tuple(host.vms.filter(missing_since=None).values_list("uuid", flat=True)),
        since=facts.since,
    )


def _evidence(
    source: str, error: str, began: datetime, seen_at: datetime | None
) -> tuple[Evidence, ...]:
    failed = Evidence("last error", error, source, began)
    if seen_at is None:
        return (failed,)
    return failed, Evidence("last answer", "well", source, seen_at)

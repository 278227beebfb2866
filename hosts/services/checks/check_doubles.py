"""One machine under two names is a trouble: what lies on one does not outlive the other."""

from datetime import datetime

from hosts.models import Finding, Host
from hosts.selectors import machines
from hosts.services.checks import recorder
from labpanel.symptoms.facts.hosts import SameMachine
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Look, Symptom, SymptomSubject


def check_doubles(now: datetime) -> None:
    """Open and resolve the findings of hosts that another one was before; the later one has it."""
    for host in Host.objects.all():
        first = machines.known_as(host.identity, besides=host)
        look = Look()
        names = set()
        if first is not None and (first.added_at, first.pk) < (host.added_at, host.pk):
            names = {first.name}
            look.found.append(_symptom(host, first))
        old = Finding.objects.filter(host=host, kind=Kind.SAME_MACHINE, resolved_at=None)
        look.is_over(Kind.SAME_MACHINE, set(old.values_list("subject", flat=True)) - names)
        recorder.note(host, look, now)


def _symptom(host: Host, first: Host) -> Symptom:
    names = (("the first name", first), ("the second name", host))
    return Symptom(
        SymptomSubject(SubjectKind.HOST, first.name),
        Level.WATCH,
        SameMachine(host.name, first.name),
        tuple(Evidence(name, f"{one.name} at {one.target}", "SSH") for name, one in names),
    )

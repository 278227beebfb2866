"""VMs of other hosts that a host reports as well, as troubles of that host.

A report takes no VM away from the host that has it: else one host with a made-up list would get
another one's VMs, their backups and their data.
"""

from datetime import datetime

from hosts.models import VM, Finding, Host
from hosts.rules.placement import ownership
from hosts.services.checks import recorder
from labpanel.adapters.libvirt.answers import Reports
from labpanel.adapters.redis import bus
from labpanel.jobs.selectors import active_jobs_of_vm
from labpanel.lib.printable import printable
from labpanel.symptoms.facts.vms import OnTwoHosts
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.stored import facts_as_json
from labpanel.symptoms.symptom import Evidence, Symptom, SymptomSubject


def note(host: Host, reports: Reports, now: datetime) -> None:
    """Open or resolve the findings of one answer. Of what could not be read nothing is known: what
    is open stays open."""
    states = {report.uuid: report.state for report in reports.domains}
    others = VM.objects.filter(uuid__in=list(states), missing_since=None).exclude(host=host)
    claimed = {
        str(vm.uuid): vm
        for vm in others.select_related("host")
        if ownership.claims(vm.state, states[str(vm.uuid)]) and not _is_coming(vm, host)
    }
    rows = Finding.objects.filter(host=host, kind=Kind.TWO_HOSTS, resolved_at=None)
    open_ones = dict(rows.values_list("subject", "facts"))
    for uuid, vm in claimed.items():
        symptom = _symptom(vm, host, states[uuid])
        if open_ones.get(uuid) != facts_as_json(symptom.facts):
            recorder.record(host, symptom, now)
    rows.filter(subject__in=list(claimed)).update(looked_at=now)
    unknown = set(open_ones) - set(states) if not reports.whole else reports.unread
    recorder.resolve(host, Kind.TWO_HOSTS, set(open_ones) - set(claimed) - unknown, now)


def _is_coming(vm: VM, host: Host) -> bool:
    """Whether a job of the panel's own is about to bring the VM to this host."""
    given = [job.parameters for job in active_jobs_of_vm(str(vm.uuid))]
    return any(one.get("to") == host.name or one.get("host") == host.pk for one in given)


def _symptom(vm: VM, host: Host, state: str) -> Symptom:
    said = ((vm.host, vm.state), (host, state))
    return Symptom(
        SymptomSubject(SubjectKind.VM, str(vm.uuid)),
        Level.BAD,
        OnTwoHosts(printable(vm.name), vm.host.name, host.name),
        tuple(Evidence(each.name, word, "libvirt") for each, word in said),
        (vm.uuid,),
    )


def hand_over(uuid: str, host: Host, state: str = "") -> None:
    """A job of the panel's own has brought the VM to this host: it is this host's from now on,
    whatever the one before says. `state` is the one that the job left it in, if it knows."""
    known = {"state": state} if state else {}
    VM.objects.filter(uuid=uuid).update(host=host, missing_since=None, **known)
    bus.publish("inventory")

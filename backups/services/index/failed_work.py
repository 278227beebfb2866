"""Backups and rehearsals that failed are findings, for each VM and store, until one succeeds.

By hand or by a policy: what its owner wanted kept is not kept. A job that was cancelled says
nothing, and one that was refused before it began is not a job.
"""

from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from backups.models import Generation, Store
from backups.selectors.policies.policies import Policies
from hosts.models import VM, Finding
from hosts.services.checks import recorder
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.printable import printable
from labpanel.symptoms.declared import kind_of
from labpanel.symptoms.facts.copies import FailedBackup, FailedRehearsal
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Symptom, SymptomSubject

_FAILED = {State.FAILED, State.ERRORED, State.LOST}


def note_ended(job_id: int) -> None:
    """What a backup or a rehearsal that ended means for its VM and store."""
    job = Job.objects.get(pk=job_id)
    _note(job, job.state, job.sentence)


def note_lost(job: Job, sentence: str) -> None:
    """Of a job whose worker died, when it is settled: it ends as lost."""
    _note(job, State.LOST, sentence)


def forget_store(store: Store) -> None:
    """The store is about to be removed from the panel."""
    recorder.end(_open().filter(subject__endswith=f" {store.name}"), timezone.now())


def forget_unasked() -> None:
    """VMs that no policy takes any more: a backup that a policy asked for is not due then."""
    policies, now = Policies(), timezone.now()
    for finding in _open().prefetch_related("vms"):
        asked = any(row.get("source", "").startswith("policy ") for row in finding.evidence)
        vm = next(iter(finding.vms.all()), None)
        if asked and (vm is None or policies.of(vm) is None):
            recorder.end([finding], now)


def _open() -> QuerySet[Finding]:
    return Finding.objects.filter(
        kind__in=(Kind.BACKUP_FAILED, Kind.REHEARSAL_FAILED), resolved_at=None
    )


def _note(job: Job, state: str, sentence: str) -> None:
    vm, store = _about(job)
    if vm is None or store is None or state not in {State.DONE, *_FAILED}:
        return
    failed = FailedBackup if job.kind == "backup" else FailedRehearsal
    facts = failed(printable(vm.name), store.name, sentence)
    subject, now = f"{vm.uuid} {store.name}", timezone.now()
    if state == State.DONE:
        recorder.resolve_of_vm(subject, [kind_of(facts)], now)
        return
    row = Evidence(f"job {job.pk}", state, job.asked_by or "the panel", now)
    subject_of = SymptomSubject(SubjectKind.COPIES, subject)
    recorder.record(vm.host, Symptom(subject_of, Level.WATCH, facts, (row,), (vm.uuid,)), now)


def _about(job: Job) -> tuple[VM | None, Store | None]:
    """The VM and the store of a backup or a rehearsal, as far as the panel still has them."""
    if job.kind == "backup":
        uuid = UUID(job.parameters["vm_uuid"])
        store = Store.objects.filter(pk=job.parameters["store"]).first()
    else:
        found = Generation.objects.select_related("store")
        generation = found.filter(key=job.parameters["generation"]).first()
        if generation is None:
            return None, None
        uuid, store = generation.vm_uuid, generation.store
    return VM.objects.select_related("host").filter(uuid=uuid).first(), store

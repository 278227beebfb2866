"""A read or a write that fails in the middle of work is evidence at once.

It becomes a finding that names file and range, on the host whose image it is, or of the store; and
nothing of the VMs that it touches is pruned. It ends when the same was read again without an
error, or when its owner has seen it.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from backups.models import Store
from backups.rules.backup.spans import Spans
from backups.rules.copies.evidence import errno_words, hold_reason
from backups.services.index.hold import LONGEST_REASON, hold
from hosts.models import VM, Finding, Host, VirtualDisk
from hosts.services.checks import recorder
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.jobs.models import Job
from labpanel.lib.actor import Actor, ActorKind
from labpanel.lib.io_fault import Access, IoFault
from labpanel.lib.printable import printable
from labpanel.lib.shapes import PANEL
from labpanel.symptoms.facts.copies import ImageFault, StoreFault, Stretches
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Evidence, Symptom, SymptomSubject


@dataclass(frozen=True, slots=True)
class HostImage:
    """An image on a host: `target` is the disk of `vm` (by its name, for one that is being made
    there too)."""

    host: Host
    path: str
    target: str
    vm: str


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file of a generation in a store."""

    store: Store
    vm: VM | None
    key: str
    file: str


@contextlib.contextmanager
def noted(
    job: Job, *, read: HostImage | StoreFile | None, write: HostImage | StoreFile | None
) -> Iterator[None]:
    """What cannot be read or written in here is written down as evidence of its place."""
    try:
        yield
    except ScriptRefused as refusal:
        if refusal.io is not None:
            place = write if refusal.io.access is Access.WRITE else read
            note(job, refusal.io, place)
        raise


def note(job: Job, fault: IoFault, place: HostImage | StoreFile | None) -> None:
    """Only what the drive, or what lies below, refused: no full disk, and no missing right."""
    if place is None or not fault.is_hardware:
        return
    if isinstance(place, HostImage):
        of_image(job, place, fault.access, fault.spans, fault.number)
    else:
        of_store(job, place, fault.access, fault.spans, fault.number)


def of_image(job: Job, image: HostImage, access: Access, spans: Spans, number: int) -> None:
    vms = _touched(image)
    disk = f"{image.target} of {image.vm}" if image.target else image.vm
    facts = ImageFault(
        image.host.name,
        access,
        image.path,
        printable(disk),
        _stretches(spans),
        tuple(printable(vm.name) for vm in vms),
        _this_minute(),
    )
    subject = SymptomSubject(SubjectKind.IMAGE, image.path or f"{image.vm} {image.target}")
    _note(image.host, subject, facts, vms, _row(job, f"{access} of {image.path}", number))


def of_store(job: Job, kept: StoreFile, access: Access, spans: Spans, number: int) -> None:
    """A store on the panel's own machine stands with that host if it is one, else with the VM's."""
    store, vm = kept.store, kept.vm
    host = store.host or Host.objects.filter(target=PANEL.target).first()
    host = host or (vm.host if vm else None)
    if host is None:
        return
    vms = (vm,) if vm else ()
    file = f"{kept.key}/{kept.file}" if kept.key and kept.file else kept.file or kept.key
    facts = StoreFault(
        store.name,
        store.where,
        access,
        file,
        _stretches(spans),
        tuple(printable(one.name) for one in vms),
        _this_minute(),
    )
    sort = SubjectKind.GENERATION if kept.key else SubjectKind.STORE
    subject = SymptomSubject(sort, _subject(store, file))
    _note(host, subject, facts, vms, _row(job, f"{access} of {file}", number))


def image_was_read(host: Host, paths: Iterable[str]) -> None:
    """These images were read from end to end just now, and nothing was wrong."""
    recorder.resolve(host, Kind.IMAGE_ERROR, paths, timezone.now())


def generation_was_read(store: Store, key: str) -> None:
    """All files of this generation were read just now."""
    of_it = Finding.objects.filter(kind=Kind.STORE_ERROR, resolved_at=None)
    recorder.end(of_it.filter(subject__startswith=_subject(store, f"{key}/")), timezone.now())


def store_was_written(store: Store) -> None:
    """A whole generation went in: what could not be written before can be now."""
    of_it = Finding.objects.filter(kind=Kind.STORE_ERROR, resolved_at=None)
    recorder.end(of_it.filter(subject=_subject(store, "")), timezone.now())


def forget_store(store: Store) -> None:
    """The store is about to be removed from the panel."""
    of_it = Finding.objects.filter(kind=Kind.STORE_ERROR, resolved_at=None)
    recorder.end(of_it.filter(subject__startswith=_subject(store, "")), timezone.now())


def _subject(store: Store, file: str) -> str:
    return f"{store.name}: {file}"


def _touched(image: HostImage) -> tuple[VM, ...]:
    """The VMs with an image on the same file system; at least the one whose image it is."""
    disks = VirtualDisk.objects.filter(vm__host=image.host, missing_since=None)
    own = disks.filter(source=image.path)
    system = own.exclude(file_system=None).values_list("file_system", flat=True).first()
    beside = disks.filter(file_system=system) if system is not None else own
    vms = VM.objects.filter(missing_since=None, host=image.host)
    named = vms.filter(name=image.vm) if not own.exists() else vms.none()
    found = (vms.filter(disks__in=beside) | named).distinct()
    return tuple(found.order_by("name", "pk"))


def _note(
    host: Host,
    subject: SymptomSubject,
    facts: ImageFault | StoreFault,
    vms: tuple[VM, ...],
    row: Evidence,
) -> None:
    """Hold the VMs first: what is said of them says that they are held."""
    for vm in vms:
        hold(vm, hold_reason(facts)[:LONGEST_REASON], by=Actor(ActorKind.PANEL, "labpanel"))
    uuids = tuple(vm.uuid for vm in vms)
    recorder.record(host, Symptom(subject, Level.BAD, facts, (row,), uuids), timezone.now())


def _stretches(spans: Spans) -> Stretches:
    return tuple((first, after) for first, after in spans)


def _this_minute() -> datetime:
    """What the sentence says. The same fault twice within a minute is not noted again."""
    return timezone.now().replace(second=0, microsecond=0)


def _row(job: Job, what: str, number: int) -> Evidence:
    return Evidence(what, errno_words(number), f"{job.kind} (job {job.pk})", timezone.now())

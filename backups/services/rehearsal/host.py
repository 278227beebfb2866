"""Where a generation is rehearsed: a host with room, its scratch folder, and the generation's disks
within QEMU's reach there, for reading only."""

import contextlib
import secrets
import uuid as uuids
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from django.utils import timezone

from backups.models import Generation
from backups.rules.rehearsal import place as rehearsal_place
from backups.rules.rehearsal.place import RehearsalCandidate, Share
from backups.selectors.copies.lineages import lineages
from backups.services.index.channels import job_machine
from backups.services.rehearsal.settle import OpenRehearsal
from hosts.models import Host
from hosts.rules.health.presence import of_vm, presence
from hosts.selectors.findings import open_findings
from hosts.selectors.images import image_folders
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.libvirt.hypervisor import opened
from labpanel.adapters.libvirt.uses.jobs import Rehearses
from labpanel.adapters.libvirt.xml import domain_xml, rehearsal_xml
from labpanel.adapters.libvirt.xml.rehearsal_xml import OverlayImage
from labpanel.adapters.rehearsal.workspace import RehearsalWorkspace, Resources
from labpanel.adapters.ssh.machine import Machine
from labpanel.adapters.ssh.nbd_relay import relayed
from labpanel.adapters.ssh.session import ScriptRefused
from labpanel.adapters.store.keeper import Keeper
from labpanel.jobs.work import Failed, Work
from labpanel.lib.kept_files import NVRAM
from labpanel.lib.said import Said
from labpanel.symptoms.kinds import About, Level

_DEFAULT_FOLDER = "/var/lib/libvirt/images"


class UnreadableDisk(Said):
    """A disk of the generation that its store cannot even open."""

    def __init__(self, target: str, sentence: str) -> None:
        super().__init__(sentence)
        self.target = target


@dataclass(frozen=True, slots=True)
class RehearsalHost:
    """A host that rehearses. `name` and `uuid` are the transient domain's; `folder` is where the
    overlays go and `sockets` where QEMU finds the disks."""

    host: Host
    machine: Machine
    workspace: RehearsalWorkspace
    hypervisor: Rehearses
    share: Share
    kvm: bool
    name: str
    uuid: str
    sockets: str


def candidates(generation: Generation, asked: Host | None) -> list[Host]:
    """Hosts that may rehearse, best first; only the one that was asked for if one was."""
    hosts = {host.name: host for host in Host.objects.all()}
    if asked is not None:
        return [asked]
    found = [_candidate(host, generation) for host in hosts.values()]
    fit = rehearsal_place.order(found)
    if not fit:
        against = " ".join(f"{one.name}: {one.against}" for one in found)
        raise Failed(f"No host can rehearse {generation.key} now. {against}".strip())
    return [hosts[one.name] for one in fit]


def _candidate(host: Host, generation: Generation) -> RehearsalCandidate:
    now = timezone.now()
    seen = of_vm(
        presence(host.seen_at, host.failing_since, host.error, now),
        presence(host.libvirt_seen_at, host.libvirt_failing_since, host.libvirt_error, now),
    )
    bad = [
        finding.sentence
        for finding in open_findings(host)
        if finding.severity == Level.BAD and finding.about == About.HOST
    ]
    return RehearsalCandidate(
        name=host.name,
        has_store=host.target == generation.store.endpoint().target,
        is_source=host.name == generation.source_host,
        against="" if seen.is_up and not bad else " ".join([seen.reason, *bad]).strip(),
    )


@contextlib.contextmanager
def prepared(
    work: Work, hosts: list[Host], generation: Generation, xml: str
) -> Iterator[RehearsalHost]:
    """The first of `hosts` with room for it, with its folders made; they are gone afterwards."""
    refused = []
    for host in hosts:
        with contextlib.ExitStack() as stack:
            machine = stack.enter_context(job_machine(work, host))
            workspace = stack.enter_context(RehearsalWorkspace(machine))
            folder, free = _roomiest(host, workspace)
            resources = workspace.resources()
            share = _share(xml, resources, free)
            if not share.why_not:
                hypervisor = stack.enter_context(opened(host.endpoint()))
                place = _set_up(work, host, workspace, hypervisor, share, folder, kvm=resources.kvm)
                try:
                    yield place
                finally:
                    with contextlib.suppress(AdapterError):  # it goes with the session else
                        workspace.tear_down()
                return
            refused.append(f"{host.name} cannot: {share.why_not}.")
    raise Failed(f"{generation.key} cannot be rehearsed now. {' '.join(refused)}")


def _share(xml: str, resources: Resources, free: int) -> Share:
    wanted = domain_xml.parse(xml)
    return rehearsal_place.share(
        wanted_memory=wanted.memory_bytes,
        wanted_vcpus=wanted.vcpus,
        memory_bytes=resources.memory_bytes,
        available_bytes=resources.available_bytes,
        cpus=resources.cpus,
        free_bytes=free,
    )


def _roomiest(host: Host, workspace: RehearsalWorkspace) -> tuple[str, int]:
    """The folder for images with the most free bytes: there QEMU may read and write."""
    rooms = [workspace.room(folder) for folder in (*image_folders(host), _DEFAULT_FOLDER)]
    fit = [room for room in rooms if room.writable]
    if not fit:
        return _DEFAULT_FOLDER, 0
    best = max(fit, key=lambda room: room.available_bytes)
    return best.path, best.available_bytes


def _set_up(
    work: Work,
    host: Host,
    workspace: RehearsalWorkspace,
    hypervisor: Rehearses,
    share: Share,
    folder: str,
    *,
    kvm: bool,
) -> RehearsalHost:
    tag, uuid = f"{work.job.pk}-{secrets.token_hex(3)}", str(uuids.uuid4())
    scratch, name = f"{folder}/.labpanel-rehearsal-{tag}", f"labpanel-rehearsal-{tag}"
    left = OpenRehearsal(host.pk, uuid, scratch)
    row = work.owe(left)
    owner = hypervisor.qemu_owner()
    sockets = workspace.set_up(scratch, name, owner)
    work.owe_more(row, replace(left, sockets=sockets))
    return RehearsalHost(
        host, workspace.machine, workspace, hypervisor, share, kvm, name, uuid, sockets
    )


@contextlib.contextmanager
def disks_at_hand(
    place: RehearsalHost, keeper: Keeper, generation: Generation
) -> Iterator[list[OverlayImage]]:
    """An overlay for each disk of the generation, over what its store exports read-only."""
    uuid, key = str(generation.vm_uuid), generation.key
    folder = place.workspace.sockets()
    known = lineages(generation.vm_uuid, generation.store)
    with contextlib.ExitStack() as stack:
        images = []
        for disk in generation.manifest.disks:
            target = disk.target
            lineage = known.get(target)
            parents = lineage.parents(key) if lineage else {}
            near = _served(keeper, target, keeper.path_of(uuid, key, disk.file), parents)
            far = stack.enter_context(relayed(keeper.machine, place.machine, near, folder))
            socket = place.workspace.hand_over(target, far)
            overlay = place.workspace.overlay(target, disk.virtual_bytes, socket, target)
            images.append(OverlayImage(target, overlay, socket, target))
        yield images


def _served(keeper: Keeper, target: str, path: str, known: dict[str, str | None]) -> str:
    try:
        return keeper.serve(target, path, known)
    except ScriptRefused as refusal:
        if refusal.code != "unreadable":
            raise
        raise UnreadableDisk(target, refusal.sentence) from refusal


@contextlib.contextmanager
def booted(work: Work, place: RehearsalHost, xml: str) -> Iterator[None]:
    """The transient domain, running; gone afterwards. libvirt ends it when the panel's
    connection ends in any way."""
    try:
        place.hypervisor.start_transient(xml)
        work.line(f"It boots on {place.host.name} as {place.name}.")
        yield
    finally:
        with contextlib.suppress(AdapterError):
            place.hypervisor.end_transient(place.uuid)


def domain_of(place: RehearsalHost, job: int, boot: Sequence[str]) -> rehearsal_xml.RehearsalDomain:
    """What the domain's XML needs to know of its host; `boot` are files that it starts."""
    return rehearsal_xml.RehearsalDomain(
        name=place.name,
        uuid=place.uuid,
        job=job,
        memory_bytes=place.share.memory_bytes,
        vcpus=place.share.vcpus,
        kvm=place.kvm,
        console=f"{place.workspace.scratch}/console.log",
        nvram=f"{place.workspace.scratch}/{NVRAM}",
        boot={name: f"{place.workspace.scratch}/{name}" for name in boot},
    )

"""Where a generation is rehearsed: a host with room, its scratch folder, and the generation's disks
within QEMU's reach there, for reading only."""

import contextlib
import secrets
import uuid as uuids
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils import timezone

from backups.models import Generation
from backups.rules import rehearsal_place
from backups.rules.rehearsal_place import Candidate, Share
from hosts.models import Host
from hosts.rules.presence import of_vm, presence
from hosts.selectors.findings import open_findings
from hosts.selectors.images import image_folders
from labpanel.adapters import domain_xml, rehearsal_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.hypervisor import Hypervisor, opened
from labpanel.adapters.machine import Machine
from labpanel.adapters.nbd_relay import private_machine, relayed
from labpanel.adapters.rehearsal_xml import Image
from labpanel.adapters.script_session import ScriptRefused
from labpanel.adapters.stage import Resources, Stage
from labpanel.adapters.store_keeper import Keeper
from labpanel.jobs.work import Failed, Work

NVRAM = "nvram.fd"
_DEFAULT_FOLDER = "/var/lib/libvirt/images"
_SHORT = 15


class Unreadable(Exception):
    """A disk of the generation that its store cannot even open."""

    def __init__(self, target: str, sentence: str) -> None:
        super().__init__(sentence)
        self.target, self.sentence = target, sentence


@dataclass(frozen=True, slots=True)
class Ground:
    """A host that rehearses. `name` and `uuid` are the transient domain's; `folder` is where the
    overlays go and `sockets` where QEMU finds the disks."""

    host: Host
    machine: Machine
    stage: Stage
    hypervisor: Hypervisor
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


def _candidate(host: Host, generation: Generation) -> Candidate:
    now = timezone.now()
    seen = of_vm(
        presence(host.seen_at, host.failing_since, host.error, now),
        presence(host.libvirt_seen_at, host.libvirt_failing_since, host.libvirt_error, now),
    )
    bad = [finding.sentence for finding in open_findings(host) if finding.severity == "bad"]
    return Candidate(
        name=host.name,
        has_store=host.target == generation.store.endpoint().target,
        is_source=host.name == generation.source_host,
        against="" if seen.is_up and not bad else " ".join([seen.reason, *bad]).strip(),
    )


@contextlib.contextmanager
def prepared(work: Work, hosts: list[Host], generation: Generation, xml: str) -> Iterator[Ground]:
    """The first of `hosts` with room for it, with its folders made; they are gone afterwards."""
    refused = []
    for host in hosts:
        with contextlib.ExitStack() as stack:
            machine = stack.enter_context(private_machine(host.endpoint(), f"job-{work.job.pk}"))
            stage = stack.enter_context(Stage(machine))
            folder, free = _roomiest(host, stage)
            resources = stage.resources()
            share = _share(xml, resources, free)
            if not share.why_not:
                hypervisor = stack.enter_context(opened(host.endpoint()))
                ground = _set_up(work, host, stage, hypervisor, share, folder, kvm=resources.kvm)
                try:
                    yield ground
                finally:
                    with contextlib.suppress(AdapterError):  # it goes with the session else
                        stage.tear_down()
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


def _roomiest(host: Host, stage: Stage) -> tuple[str, int]:
    """The folder for images with the most free bytes: there QEMU may read and write."""
    rooms = [stage.room(folder) for folder in (*image_folders(host), _DEFAULT_FOLDER)]
    fit = [room for room in rooms if room["writable"]]
    if not fit:
        return _DEFAULT_FOLDER, 0
    best = max(fit, key=lambda room: int(room["available_bytes"]))
    return str(best["path"]), int(best["available_bytes"])


def _set_up(
    work: Work,
    host: Host,
    stage: Stage,
    hypervisor: Hypervisor,
    share: Share,
    folder: str,
    *,
    kvm: bool,
) -> Ground:
    tag, uuid = f"{work.job.pk}-{secrets.token_hex(3)}", str(uuids.uuid4())
    scratch, name = f"{folder}/.labpanel-rehearsal-{tag}", f"labpanel-rehearsal-{tag}"
    work.remember(host=host.pk, uuid=uuid, scratch_folder=scratch)
    owner = hypervisor.call("qemu_owner", deadline=_SHORT)
    sockets = stage.set_up(scratch, name, owner)
    work.remember(sockets_folder=sockets)
    return Ground(host, stage.machine, stage, hypervisor, share, kvm, name, uuid, sockets)


@contextlib.contextmanager
def disks_at_hand(ground: Ground, keeper: Keeper, generation: Generation) -> Iterator[list[Image]]:
    """An overlay for each disk of the generation, over what its store exports read-only."""
    uuid, key = str(generation.vm_uuid), generation.key
    folder = ground.stage.sockets()
    with contextlib.ExitStack() as stack:
        images = []
        for disk in generation.manifest["disks"]:
            target = disk["target"]
            near = _served(keeper, target, keeper.path_of(uuid, key, disk["file"]))
            far = stack.enter_context(relayed(keeper.machine, ground.machine, near, folder))
            socket = ground.stage.hand_over(target, far)
            overlay = ground.stage.overlay(target, disk["virtual_bytes"], socket, target)
            images.append(Image(target, overlay, socket, target))
        yield images


def _served(keeper: Keeper, target: str, path: str) -> str:
    try:
        return keeper.serve(target, path)
    except ScriptRefused as refusal:
        if refusal.code != "unreadable":
            raise
        raise Unreadable(target, refusal.sentence) from refusal


@contextlib.contextmanager
def booted(work: Work, ground: Ground, xml: str) -> Iterator[None]:
    """The transient domain, running; gone afterwards. libvirt ends it by itself when the panel's
    connection ends in any way."""
    try:
        ground.hypervisor.call("start_transient", deadline=120, xml=xml)
        work.line(f"It boots on {ground.host.name} as {ground.name}.")
        yield
    finally:
        with contextlib.suppress(AdapterError):
            ground.hypervisor.call("end_transient", deadline=30, uuid=ground.uuid)


def stage_of(ground: Ground, job: int) -> rehearsal_xml.Stage:
    """What the domain's XML needs to know of the ground."""
    return rehearsal_xml.Stage(
        name=ground.name,
        uuid=ground.uuid,
        job=job,
        memory_bytes=ground.share.memory_bytes,
        vcpus=ground.share.vcpus,
        kvm=ground.kvm,
        console=f"{ground.stage.scratch}/console.log",
        nvram=f"{ground.stage.scratch}/{NVRAM}",
    )

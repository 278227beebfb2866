"""Fresh facts for a plan, read from both hosts at the same time. Nothing is changed there."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

from hosts.models import VM, Host, VirtualDisk
from hosts.rules.placement import fit
from hosts.rules.placement.paths import may_hold_images
from hosts.selectors.images import image_folders
from labpanel.adapters.errors import AdapterError, Refused
from labpanel.adapters.libvirt.hypervisor import pool
from labpanel.adapters.libvirt.uses.moving import Extent, MoveFacts, ReadsMoves
from labpanel.adapters.libvirt.xml import move_xml
from labpanel.adapters.moving.move_host import FolderRoom, ImageMarks, MoveHost, MoveHostFacts
from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.definition import SILENCE, Word
from labpanel.lib.moving import DomainNeeds, DomainNow, MoveTarget, MovingDisk, OpenFinding, Space
from labpanel.lib.shapes import Endpoint
from labpanel.moves.services import drafts
from labpanel.symptoms.kinds import About, Kind, Level

DEFAULT_FOLDER = "/var/lib/libvirt/images"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The VM as its host has it now. `said` is libvirt's word."""

    needs: DomainNeeds
    now: DomainNow
    said: MoveFacts
    rooms: dict[str, FolderRoom]


def of_source(vm: VM) -> SourceFacts:
    """Ask the VM's host; raises an AdapterError if it cannot answer."""
    endpoint, uuid = vm.host.endpoint(), str(vm.uuid)
    libvirt: ReadsMoves = pool.of(endpoint)
    said = libvirt.move_facts(uuid)
    needs = move_xml.needs(said.xml)
    if needs.uuid != uuid:
        raise Refused(f"{vm.host.name} answered for {vm.name} with the VM {needs.uuid}.")
    copied = [disk for disk in needs.copied if disk.kind == "file"]
    folders = sorted({_folder(disk.source) for disk in copied})
    with MoveHost(Machine(endpoint)) as ground:
        looked = ground.look([], folders)
        allocated = ground.allocated([disk.source for disk in copied])
        seen = ground.image_marks([(disk.source, disk.format) for disk in copied])
    marks = {disk.target: mark for disk, mark in zip(copied, seen, strict=False)}
    sizes = libvirt.virtual_sizes(uuid, [disk.target for disk in copied])
    disks = tuple(
        dataclasses.replace(
            _marked(disk, marks.get(disk.target, ImageMarks())),
            capacity=sizes[disk.target].capacity if disk.target in sizes else 0,
            allocated=_allocated(disk.source, disk.target, allocated, sizes),
        )
        for disk in needs.disks
    )
    return SourceFacts(dataclasses.replace(needs, disks=disks), _now(said), said, looked.rooms)


def _marked(disk: MovingDisk, mark: ImageMarks) -> MovingDisk:
    unread = mark.inside_count - len(mark.inside)
    return dataclasses.replace(
        disk,
        encrypted=disk.encrypted or mark.encrypted,
        data_elsewhere=disk.data_elsewhere or mark.elsewhere,
        corrupt=bool(mark.corrupt),
        inside=(*mark.inside, *([f"{unread} more"] if unread > 0 else [])),
    )


def _allocated(path: str, target: str, files: dict[str, int], sizes: dict[str, Extent]) -> int:
    """What a copy may take: the file's own blocks, or if more libvirt's word (backing files)."""
    allocated = sizes[target].allocation if target in sizes else 0
    return max(files.get(path, 0), allocated)


def _now(said: MoveFacts) -> DomainNow:
    return DomainNow(
        active=said.active,
        state=VM.State(said.state),
        persistent=said.persistent,
        autostart=said.autostart,
        busy=said.busy,
        snapshots=said.snapshots,
        managed_save=said.managed_save,
        libvirt=said.libvirt,
        qemu=said.qemu,
    )


@dataclass(frozen=True, slots=True)
class AskedHost:
    """A host to be asked, with what the panel knows of it; `folders` hold its images, `usual` is
    the one that holds most of them."""

    endpoint: Endpoint
    usual: str
    folders: tuple[str, ...]
    troubles: tuple[OpenFinding, ...]
    word: Word


def of_targets(
    vm: VM, source: SourceFacts, hosts: Sequence[Host], word: Word = SILENCE
) -> list[MoveTarget]:
    """Ask each host, all at the same time; one that cannot answer says so in its `error`. `word` is
    the owner's, on what in the description reaches into a host."""
    asked = [
        AskedHost(
            host.endpoint(),
            _usual_folder(host),
            tuple(image_folders(host)),
            troubles_of(host, vm),
            word,
        )
        for host in hosts
    ]
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as threads:
        return list(threads.map(lambda one: _of_target(source, one), asked))


# Kinds of findings whose subject is a mount point.
OF_A_MOUNT = (Kind.FILE_SYSTEM, Kind.ROOM)


def troubles_of(host: Host, vm: VM) -> tuple[OpenFinding, ...]:
    """The host's open findings; `touches` where they name the VM. What only one of its VMs, or a
    store, suffers from says nothing about the host."""
    own = host.findings.filter(resolved_at=None, about=About.HOST)
    found = own.prefetch_related("vms")
    return tuple(
        OpenFinding(
            sentence=finding.sentence,
            bad=finding.severity == Level.BAD,
            kind=finding.kind,
            mount_point=finding.subject if finding.kind in OF_A_MOUNT else "",
            touches=vm in finding.vms.all(),
        )
        for finding in found
    )


def _usual_folder(host: Host) -> str:
    """Where this host keeps most of its images."""
    kept = VirtualDisk.objects.filter(vm__host=host, kind="file", device="disk", missing_since=None)
    folders = Counter(_folder(path) for path in kept.values_list("source", flat=True) if path)
    return folders.most_common(1)[0][0] if folders else DEFAULT_FOLDER


def _of_target(source: SourceFacts, asked: AskedHost) -> MoveTarget:
    try:
        return _asked(source, asked)
    except AdapterError as error:
        return MoveTarget(asked.endpoint.name, error=error.sentence, troubles=asked.troubles)


def _asked(source: SourceFacts, asked: AskedHost) -> MoveTarget:
    needs, endpoint = source.needs, asked.endpoint
    libvirt = pool.of(endpoint).target_facts(
        emulator=needs.emulator,
        arch=needs.arch,
        machine=needs.machine,
        cpu=needs.asked_cpu,
        volumes=needs.volumes,
        page_waits=True,
    )
    programs = [*fit.MOVE_PROGRAMS, *needs.programs]
    with MoveHost(Machine(endpoint)) as ground:
        first = ground.look([], [*source.rooms, asked.usual])
        paths = _paths(source, first.rooms, asked)
        folders = sorted({_folder(path) for path in paths.values()})
        nvram = [needs.nvram] if needs.nvram else []  # there it would be another VM's
        looked = ground.look([*paths.values(), *nvram], folders, needs.paths, programs)
    target = MoveTarget(
        name=endpoint.name,
        root=looked.root,
        troubles=asked.troubles,
        uuids=frozenset(domain.uuid for domain in libvirt.domains),
        names=frozenset(domain.name for domain in libvirt.domains),
        paths=paths,
        taken=frozenset(looked.taken),
        missing=frozenset(looked.missing),
        missing_programs=frozenset(looked.missing_programs),
        missing_volumes=frozenset(libvirt.missing_volumes),
        spaces=_spaces(needs, paths, looked),
        memory_available=looked.memory_available,
        networks=frozenset(libvirt.networks),
        bridges=frozenset(looked.bridges),
        interfaces=frozenset(looked.interfaces),
        machine=libvirt.machine,
        cpu=libvirt.cpu,
        libvirt=libvirt.libvirt,
        qemu=libvirt.qemu,
    )
    case = drafts.Case(source.said, needs, target)
    draft = drafts.draft(case, asked.folders, endpoint, asked.word)
    return dataclasses.replace(target, draft=draft)


def _paths(source: SourceFacts, rooms: dict[str, FolderRoom], asked: AskedHost) -> dict[str, str]:
    """Where each image would lie: in the folder of the same name if that is one for images and
    stands on a file system like the source's, else where the host usually keeps its images."""
    found = {}
    for disk in source.needs.copied:
        if disk.kind != "file":
            continue
        folder = _folder(disk.source)
        room, here = rooms[folder], source.rooms[folder]
        like = room.exists or room.mount_point == here.mount_point
        same = like and may_hold_images(folder, [*asked.folders, DEFAULT_FOLDER])
        name = PurePosixPath(disk.source).name
        found[disk.source] = disk.source if same else f"{asked.usual}/{name}"
    return found


def _spaces(needs: DomainNeeds, paths: dict[str, str], looked: MoveHostFacts) -> tuple[Space, ...]:
    """Each file system that would receive images, once, with all that would go there."""
    wanted: Counter[int] = Counter()
    rooms: dict[int, FolderRoom] = {}
    for disk in needs.copied:
        if disk.source not in paths:
            continue
        room = looked.rooms[_folder(paths[disk.source])]
        rooms[room.device] = room
        wanted[room.device] += fit.wanted_bytes(disk.allocated)
    return tuple(
        Space(room.mount_point, room.available_bytes, wanted[device], room.read_only)
        for device, room in rooms.items()
    )


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)

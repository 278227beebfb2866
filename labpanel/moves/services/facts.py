"""Fresh facts for a plan, read from both hosts at the same time. Nothing is changed there."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from hosts.models import VM, Finding, Host, VirtualDisk
from hosts.rules import fit
from labpanel.adapters import move_xml
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.ground import Ground, GroundWork, Room
from labpanel.adapters.hypervisor import pool
from labpanel.adapters.machine import Machine
from labpanel.lib.moving import Needs, Now, Space, Target, Trouble
from labpanel.lib.shapes import Endpoint

DEADLINE = 10
DEFAULT_FOLDER = "/var/lib/libvirt/images"
# virDomainState (libvirt-domain.h), by number
STATES = dict(enumerate(VM.State(name) for name in (
    "no state", "running", "blocked", "paused", "in shutdown", "shut off", "crashed",
    "suspended by guest",
)))  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """The VM as its host has it now. `said` is libvirt_child/move_calls.py's answer."""

    needs: Needs
    now: Now
    said: dict[str, Any]
    rooms: dict[str, Room]


def of_source(vm: VM) -> SourceFacts:
    """Ask the VM's host; raises an AdapterError if it cannot answer."""
    endpoint, uuid = vm.host.endpoint(), str(vm.uuid)
    said = pool.call(endpoint, "move_facts", deadline=DEADLINE, uuid=uuid)
    needs = move_xml.needs(said["xml"])
    copied = [disk for disk in needs.copied if disk.kind == "file"]
    folders = sorted({_folder(disk.source) for disk in copied})
    with GroundWork(Machine(endpoint)) as ground:
        looked = ground.look([], folders)
        allocated = ground.allocated([disk.source for disk in copied])
    sizes = pool.call(
        endpoint,
        "virtual_sizes",
        deadline=DEADLINE,
        uuid=uuid,
        targets=[disk.target for disk in copied],
    )
    disks = tuple(
        dataclasses.replace(
            disk,
            capacity=sizes[disk.target]["capacity"] if disk.target in sizes else 0,
            allocated=_allocated(disk.source, disk.target, allocated, sizes),
        )
        for disk in needs.disks
    )
    return SourceFacts(dataclasses.replace(needs, disks=disks), _now(said), said, looked.rooms)


def _allocated(
    path: str, target: str, files: dict[str, int], sizes: dict[str, dict[str, int]]
) -> int:
    """What a copy may take: the file's own blocks, or if more libvirt's word (backing files)."""
    return max(files.get(path, 0), sizes.get(target, {}).get("allocation", 0))


def _now(said: dict[str, Any]) -> Now:
    return Now(
        active=said["active"],
        state=STATES.get(said["state"], VM.State.NOSTATE),
        persistent=said["persistent"],
        autostart=said["autostart"],
        busy=said["busy"],
        snapshots=said["snapshots"],
        managed_save=said["managed_save"],
        libvirt=said["libvirt"],
        qemu=said["qemu"],
    )


def of_targets(vm: VM, source: SourceFacts, hosts: Sequence[Host]) -> list[Target]:
    """Ask each host, all at the same time; one that cannot answer says so in its `error`."""
    asked = [(host.endpoint(), _usual_folder(host), troubles_of(host, vm)) for host in hosts]
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as threads:
        return list(threads.map(lambda one: _of_target(source, *one), asked))


def troubles_of(host: Host, vm: VM) -> tuple[Trouble, ...]:
    """The host's open findings; `touches` where they name the VM."""
    found = host.findings.filter(resolved_at=None).prefetch_related("vms")
    return tuple(
        Trouble(
            sentence=finding.sentence,
            bad=finding.severity == Finding.Severity.BAD,
            kind=finding.kind,
            mount_point=finding.subject if finding.kind == "file-system" else "",
            touches=vm in finding.vms.all(),
        )
        for finding in found
    )


def _usual_folder(host: Host) -> str:
    """Where this host keeps most of its images."""
    kept = VirtualDisk.objects.filter(vm__host=host, kind="file", device="disk", missing_since=None)
    folders = Counter(_folder(path) for path in kept.values_list("source", flat=True) if path)
    return folders.most_common(1)[0][0] if folders else DEFAULT_FOLDER


def _of_target(
    source: SourceFacts, endpoint: Endpoint, usual: str, troubles: tuple[Trouble, ...]
) -> Target:
    try:
        return _asked(source, endpoint, usual, troubles)
    except AdapterError as error:
        return Target(endpoint.name, error=error.sentence, troubles=troubles)


def _asked(
    source: SourceFacts, endpoint: Endpoint, usual: str, troubles: tuple[Trouble, ...]
) -> Target:
    needs = source.needs
    libvirt = pool.call(
        endpoint,
        "target_facts",
        deadline=DEADLINE,
        emulator=needs.emulator,
        arch=needs.arch,
        machine=needs.machine,
        cpu="" if needs.emulated or needs.cpu_mode == "host-passthrough" else needs.cpu,
    )
    programs = ["qemu-img", "qemu-nbd", *(["swtpm"] if needs.tpm else [])]
    with GroundWork(Machine(endpoint)) as ground:
        first = ground.look([], [*source.rooms, usual])
        paths = _paths(source, first.rooms, usual)
        folders = sorted({_folder(path) for path in paths.values()})
        nvram = [needs.nvram] if needs.nvram and not source.now.active else []
        looked = ground.look([*paths.values(), *nvram], folders, needs.files, programs)
    return Target(
        name=endpoint.name,
        root=looked.root,
        troubles=troubles,
        uuids=frozenset(domain["uuid"] for domain in libvirt["domains"]),
        names=frozenset(domain["name"] for domain in libvirt["domains"]),
        paths=paths,
        taken=frozenset(looked.taken),
        missing=frozenset(looked.missing),
        missing_programs=frozenset(looked.missing_programs),
        spaces=_spaces(needs, paths, looked),
        memory_available=looked.memory_available,
        networks=frozenset(libvirt["networks"]),
        bridges=frozenset(looked.bridges),
        interfaces=frozenset(looked.interfaces),
        machine=libvirt["machine"],
        cpu=libvirt["cpu"],
        libvirt=libvirt["libvirt"],
        qemu=libvirt["qemu"],
    )


def _paths(source: SourceFacts, rooms: dict[str, Room], usual: str) -> dict[str, str]:
    """Where each image would lie: in the folder of the same name if that stands on a file system
    like the source's, else where the host usually keeps its images."""
    found = {}
    for disk in source.needs.copied:
        if disk.kind != "file":
            continue
        folder = _folder(disk.source)
        room, here = rooms[folder], source.rooms[folder]
        same = room.exists or room.mount_point == here.mount_point
        found[disk.source] = disk.source if same else f"{usual}/{PurePosixPath(disk.source).name}"
    return found


def _spaces(needs: Needs, paths: dict[str, str], looked: Ground) -> tuple[Space, ...]:
    """Each file system that would receive images, once, with all that would go there."""
    wanted: Counter[int] = Counter()
    rooms: dict[int, Room] = {}
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

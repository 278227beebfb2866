"""May this VM move, and does it fit a host? Pure: facts in, every obstacle out, in words.

All reasons are listed at once, so that mending one does not only lead to the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from hosts.rules.definition.shapes import is_nvram
from hosts.rules.health import suspects
from hosts.rules.placement import lacks
from labpanel.lib.moving import (
    DomainNeeds,
    DomainNow,
    MoveTarget,
    MovingDisk,
    Obstacle,
    OpenFinding,
    Space,
)

# virDomainState's names (libvirt-domain.h) in which a domain can travel live.
_TRAVELS = {"running", "blocked", "paused", "suspended by guest"}
_FORMATS = {"raw", "qcow2"}
_MIB = 1 << 20
MOVE_PROGRAMS = ("qemu-img", "qemu-nbd")


def of_vm(
    vm: DomainNeeds, now: DomainNow, source: str, troubles: Sequence[OpenFinding]
) -> list[Obstacle]:
    """What speaks against moving the VM from `source` to any host."""
    return [
        *_suspect(vm, source, troubles),
        *_state(vm, now),
        *_passthrough(vm, now),
        *_disks(vm, now, source),
        *_machinery(vm, now),
    ]


def of_target(vm: DomainNeeds, now: DomainNow, target: MoveTarget) -> list[Obstacle]:
    """What speaks against this host."""
    if target.error:
        return [Obstacle(target.error)]
    return [
        *_health(target),
        *_taken(vm, target),
        *_space(target),
        *_memory(vm, now, target),
        *_lacking(vm, target),
        *lacks.processor(vm, target),
        *_media(vm, now, target),
        *_programs(target),
        *_versions(now, target),
        *_draft(vm, target),
    ]


def blocked(obstacles: Sequence[Obstacle]) -> bool:
    return any(obstacle.blocking for obstacle in obstacles)


def wanted_bytes(allocated: int) -> int:
    """Room for an image of `allocated` bytes: a tenth more, since a running guest goes on
    writing and qcow2 has tables of its own."""
    return allocated + allocated // 10


def _suspect(vm: DomainNeeds, source: str, troubles: Sequence[OpenFinding]) -> Iterator[Obstacle]:
    for trouble in troubles:
        if not trouble.touches or trouble.kind not in suspects.KINDS:
            continue
        if trouble.bad:
            yield Obstacle(
                f"The disks of {vm.name} on {source} are suspect ({trouble.sentence}), and a plain "
                f"copy could carry the damage along. Restore the newest generation instead."
            )
        else:
            yield Obstacle(f"{source}: {trouble.sentence}", blocking=False)


def _state(vm: DomainNeeds, now: DomainNow) -> Iterator[Obstacle]:
    if now.active and now.state not in _TRAVELS:
        yield Obstacle(f"{vm.name} is {now.state}; wait until it runs or is off.")
    if now.busy:
        yield Obstacle(
            f"libvirt already runs a job on {vm.name} (a backup, a move, a snapshot); wait for it."
        )
    if not now.persistent:
        yield Obstacle(f"{vm.name} is transient: its definition would be lost with its next end.")
    if now.managed_save:
        yield Obstacle(
            f"{vm.name} has its memory saved to disk on its host; start it, then move it."
        )
    if now.snapshots:
        also = ", also while it runs" if now.active else ""
        yield Obstacle(
            f"{vm.name} has {now.snapshots} snapshot{'s' * (now.snapshots > 1)}, which libvirt "
            f"cannot take along; delete them first{also} (`virsh snapshot-delete`)."
        )


def _passthrough(vm: DomainNeeds, now: DomainNow) -> Iterator[Obstacle]:
    """QEMU does not migrate with these. Of a VM that is off they are part of the description,
    where each reaches into the host and waits for the owner's word (`_draft`)."""
    for device in vm.passthrough if now.active else ():
        yield Obstacle(
            f"{vm.name} uses {device}, which is bound to its host; shut {vm.name} down before it "
            "is moved."
        )


def _disks(vm: DomainNeeds, now: DomainNow, source: str) -> Iterator[Obstacle]:
    if not vm.copied:
        yield Obstacle(f"{vm.name} has no disk of its own to take along.", blocking=False)
    for disk in vm.disks:
        name = f"{disk.target} of {vm.name}"
        if disk.medium:
            continue
        if disk.shareable:
            yield Obstacle(f"{name} is shared with other VMs and stays where they are.")
        elif disk.kind == "network":
            yield Obstacle(
                f"{name} lies on the network; the other host must reach it too.", blocking=False
            )
        elif disk.travels and disk.kind != "file":
            yield Obstacle(f"{name} is a {disk.kind} disk; only image files are moved yet.")
        elif disk.travels and disk.format not in _FORMATS:
            yield Obstacle(f"{name} has the format {disk.format}, not raw or qcow2.")
        elif disk.travels and (why := _odd_image(disk, now, source)):
            yield Obstacle(f"{name} {why}")
        elif disk.travels and disk.stacked:
            yield _stacked(name, now)
        if disk.travels and disk.inside and not now.snapshots:
            yield Obstacle(
                f"{name} has snapshots inside its image ({', '.join(disk.inside)}); they stay "
                f"behind, in the image that is kept on {source}.",
                blocking=False,
            )


def _odd_image(disk: MovingDisk, now: DomainNow, source: str) -> str:
    """Why the image is not one that a plain copy is the same as; empty if it is."""
    if disk.encrypted:
        return (
            f"is encrypted, and its key is known to {source} alone; a copy through QEMU would hold "
            "plain text. Only images without encryption are moved yet."
        )
    if disk.sliced:
        return "is a part of a larger file (slices); only whole image files are moved yet."
    if disk.data_elsewhere:
        return "keeps its data in another file; only whole image files are moved yet."
    if disk.corrupt:
        return (
            "is marked as corrupt by QEMU, and a plain copy would carry the damage along. Look at "
            "it with `qemu-img check`, or restore the newest good copy instead."
        )
    if disk.transient and now.active:
        return "is transient, and libvirt does not move it while it runs; shut the VM down first."
    return ""


def _stacked(name: str, now: DomainNow) -> Obstacle:
    if now.active:
        return Obstacle(
            f"{name} lies on a backing file; at the other host it becomes one image.",
            blocking=False,
        )
    return Obstacle(f"{name} lies on a backing file; start the VM, and it can be moved live.")


def _machinery(vm: DomainNeeds, now: DomainNow) -> Iterator[Obstacle]:
    if vm.tpm and not now.active:
        yield Obstacle(f"{vm.name} has a TPM, whose state only travels while it runs; start it.")
    if vm.nvram and not is_nvram(vm.nvram):
        yield Obstacle(
            f"{vm.name} keeps its UEFI variables in {vm.nvram}; they travel only from libvirt's "
            "own folder for them (/var/lib/libvirt/qemu/nvram)."
        )
    if vm.huge_pages:
        yield Obstacle(
            f"{vm.name} asks for huge pages; the other host must have them set aside.",
            blocking=False,
        )


def _health(target: MoveTarget) -> Iterator[Obstacle]:
    if not target.root:
        yield Obstacle(
            f"The panel does not sign in to {target.name} as root, which a move needs there."
        )
    mounts = {space.mount_point for space in target.spaces}
    for trouble in target.troubles:
        elsewhere = trouble.mount_point and mounts and trouble.mount_point not in mounts
        yield Obstacle(
            f"{target.name} is not well: {trouble.sentence}",
            blocking=trouble.bad and not elsewhere,
        )


def _taken(vm: DomainNeeds, target: MoveTarget) -> Iterator[Obstacle]:
    if vm.uuid in target.uuids:
        yield Obstacle(f"{target.name} already has a VM with the UUID of {vm.name}.")
    elif vm.name in target.names:
        yield Obstacle(f"{target.name} already has another VM named {vm.name}.")
    for path in sorted(target.taken):
        yield Obstacle(f"{path} exists already on {target.name}; nothing is ever written over it.")


def _space(target: MoveTarget) -> Iterator[Obstacle]:
    for space in target.spaces:
        if space.read_only:
            yield Obstacle(f"{space.mount_point} on {target.name} is mounted read-only.")
        elif space.available_bytes < space.wanted_bytes:
            yield Obstacle(_too_small(target, space))


def _too_small(target: MoveTarget, space: Space) -> str:
    return (
        f"{space.mount_point} on {target.name} has {space.available_bytes // _MIB} MiB free; "
        f"{-(-space.wanted_bytes // _MIB)} MiB are needed."
    )


def _memory(vm: DomainNeeds, now: DomainNow, target: MoveTarget) -> Iterator[Obstacle]:
    if target.memory_available >= vm.memory_bytes:
        return
    yield Obstacle(
        f"{target.name} has {target.memory_available // _MIB} MiB of memory to spare; {vm.name} "
        f"has {vm.memory_bytes // _MIB} MiB.",
        blocking=now.active,
    )


def _lacking(vm: DomainNeeds, target: MoveTarget) -> Iterator[Obstacle]:
    """What the description as it would go there asks for. What goes with that which the owner's
    word can leave out waits for the word, too."""
    draft = target.draft
    found = lacks.lacking(draft.needs if draft and draft.needs else vm, target)
    least = found if draft is None or draft.least is None else lacks.lacking(draft.least, target)
    for obstacle in found:
        yield obstacle if obstacle in least else replace(obstacle, asks=True)
    if len(least) < len(found) and draft is not None and not draft.open:
        yield Obstacle(
            f"--drop-reach leaves out of {vm.name} what it needs and {target.name} does not have.",
            asks=True,
            typed=True,
        )


def _media(vm: DomainNeeds, now: DomainNow, target: MoveTarget) -> Iterator[Obstacle]:
    for disk in vm.media:
        if disk.far and not now.active:
            yield Obstacle(
                f"The medium {disk.source} in {disk.target} is not a file of a host; {disk.target} "
                f"will be empty on {target.name}.",
                blocking=False,
            )
        elif disk.source in target.missing:
            yield Obstacle(
                f"{disk.source} is missing on {target.name}; {disk.target} will be empty there.",
                blocking=False,
            )


def _programs(target: MoveTarget) -> Iterator[Obstacle]:
    for name in sorted(target.missing_programs & set(MOVE_PROGRAMS)):
        yield Obstacle(f"The program {name} is missing on {target.name}; a move needs it.")


def _versions(now: DomainNow, target: MoveTarget) -> Iterator[Obstacle]:
    older = [
        name
        for name, here, there in (
            ("libvirt", now.libvirt, target.libvirt),
            ("QEMU", now.qemu, target.qemu),
        )
        if there < here
    ]
    if older:
        yield Obstacle(
            f"{target.name} has an older {' and '.join(older)}; moving to older versions is not "
            f"promised to work.",
            blocking=False,
        )


def _draft(vm: DomainNeeds, target: MoveTarget) -> Iterator[Obstacle]:
    draft = target.draft
    if draft is None:
        return
    for reach in draft.open:
        yield Obstacle(f"{vm.name} would hold {reach.words} on {target.name}.", asks=True)
    if draft.open:
        drop = " --drop-reach leaves it out;" if draft.can_drop else ""
        yield Obstacle(
            f"What reaches into {target.name} needs your word:{drop} --accept-reach {draft.code} "
            f"takes {vm.name} as it is.",
            asks=True,
            typed=True,
        )
    elif draft.against:
        yield Obstacle(
            f"libvirt on {target.name} does not take the description of {vm.name}: {draft.against}."
        )

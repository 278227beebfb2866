"""May this VM move, and does it fit a host? Pure: facts in, every obstacle out, in words.

All reasons are listed at once, so that nobody mends one to meet the next.
"""

from collections.abc import Iterator, Sequence

from labpanel.lib.moving import Needs, Now, Obstacle, Space, Target, Trouble

# virDomainState's names (libvirt-domain.h) in which a domain can travel live.
_TRAVELS = {"running", "blocked", "paused", "suspended by guest"}
_FORMATS = {"raw", "qcow2"}
_MIB = 1 << 20


def of_vm(vm: Needs, now: Now, source: str, troubles: Sequence[Trouble]) -> list[Obstacle]:
    """What speaks against moving the VM from `source` to any host."""
    return [
        *_suspect(vm, source, troubles),
        *_state(vm, now),
        *_passthrough(vm),
        *_disks(vm, now),
        *_machinery(vm, now),
    ]


def of_target(vm: Needs, now: Now, target: Target) -> list[Obstacle]:
    """What speaks against this host."""
    if target.error:
        return [Obstacle(target.error)]
    return [
        *_health(target),
        *_taken(vm, target),
        *_space(target),
        *_memory(vm, now, target),
        *_networks(vm, target),
        *_processor(vm, target),
        *_files(vm, target),
        *_programs(vm, target),
        *_versions(now, target),
    ]


def blocked(obstacles: Sequence[Obstacle]) -> bool:
    return any(obstacle.blocking for obstacle in obstacles)


def wanted_bytes(allocated: int) -> int:
    """Room for an image of `allocated` bytes: a tenth more, since a running guest goes on
    writing and qcow2 has tables of its own."""
    return allocated + allocated // 10


def _suspect(vm: Needs, source: str, troubles: Sequence[Trouble]) -> Iterator[Obstacle]:
    for trouble in troubles:
        if not trouble.touches or trouble.kind not in {"file-system", "drive"}:
            continue
        if trouble.bad:
            yield Obstacle(
                f"The disks of {vm.name} on {source} are suspect ({trouble.sentence}), and a plain "
                f"copy could carry the damage along. Restore the newest generation instead."
            )
        else:
            yield Obstacle(f"{source}: {trouble.sentence}", blocking=False)


def _state(vm: Needs, now: Now) -> Iterator[Obstacle]:
    if now.active and now.state not in _TRAVELS:
        yield Obstacle(f"{vm.name} is {now.state}; wait until it runs or is off.")
    if now.busy:
        yield Obstacle(
            f"libvirt is already at work on {vm.name} (a backup, a move, a snapshot); wait for it."
        )
    if not now.persistent:
        yield Obstacle(f"{vm.name} is transient: its definition would be lost with its next end.")
    if now.managed_save:
        yield Obstacle(
            f"{vm.name} has its memory saved to disk on its host; start it, then move it."
        )
    if now.snapshots:
        more = "shut it down and delete them" if now.active else "delete them"
        yield Obstacle(
            f"{vm.name} has {now.snapshots} snapshot{'s' * (now.snapshots > 1)}, which libvirt "
            f"cannot take along; {more} first."
        )


def _passthrough(vm: Needs) -> Iterator[Obstacle]:
    for device in vm.passthrough:
        yield Obstacle(f"{vm.name} uses {device}, which is bound to its host.")


def _disks(vm: Needs, now: Now) -> Iterator[Obstacle]:
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
        elif disk.travels and disk.stacked:
            yield _stacked(name, now)


def _stacked(name: str, now: Now) -> Obstacle:
    if now.active:
        return Obstacle(
            f"{name} lies on a backing file; at the other host it becomes one image.",
            blocking=False,
        )
    return Obstacle(f"{name} lies on a backing file; start the VM, and it can be moved live.")


def _machinery(vm: Needs, now: Now) -> Iterator[Obstacle]:
    if vm.tpm and not now.active:
        yield Obstacle(f"{vm.name} has a TPM, whose state only travels while it runs; start it.")
    if vm.huge_pages:
        yield Obstacle(
            f"{vm.name} asks for huge pages; the other host must have them set aside.",
            blocking=False,
        )


def _health(target: Target) -> Iterator[Obstacle]:
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


def _taken(vm: Needs, target: Target) -> Iterator[Obstacle]:
    if vm.uuid in target.uuids:
        yield Obstacle(f"{target.name} already has a VM with the UUID of {vm.name}.")
    elif vm.name in target.names:
        yield Obstacle(f"{target.name} already has another VM named {vm.name}.")
    for path in sorted(target.taken):
        yield Obstacle(f"{path} exists already on {target.name}; nothing is ever written over it.")


def _space(target: Target) -> Iterator[Obstacle]:
    for space in target.spaces:
        if space.read_only:
            yield Obstacle(f"{space.mount_point} on {target.name} is mounted read-only.")
        elif space.available_bytes < space.wanted_bytes:
            yield Obstacle(_too_small(target, space))


def _too_small(target: Target, space: Space) -> str:
    return (
        f"{space.mount_point} on {target.name} has {space.available_bytes // _MIB} MiB free; "
        f"{-(-space.wanted_bytes // _MIB)} MiB are needed."
    )


def _memory(vm: Needs, now: Now, target: Target) -> Iterator[Obstacle]:
    if target.memory_available >= vm.memory_bytes:
        return
    yield Obstacle(
        f"{target.name} has {target.memory_available // _MIB} MiB of memory to spare; {vm.name} "
        f"has {vm.memory_bytes // _MIB} MiB.",
        blocking=now.active,
    )


def _networks(vm: Needs, target: Target) -> Iterator[Obstacle]:
    for name in vm.networks:
        if name not in target.networks:
            yield Obstacle(f"The network {name} is not active on {target.name}.")
    for name in vm.bridges:
        if name not in target.bridges:
            yield Obstacle(f"The bridge {name} is missing on {target.name}.")
    for name in vm.directs:
        if name not in target.interfaces:
            yield Obstacle(f"The network interface {name} is missing on {target.name}.")


def _processor(vm: Needs, target: Target) -> Iterator[Obstacle]:
    if target.machine:
        yield Obstacle(
            f"{target.name} cannot run the machine type {vm.machine} of {vm.name} "
            f"({target.machine})."
        )
    if vm.emulated:
        return
    if target.cpu:
        yield Obstacle(f"The CPU of {target.name} cannot run {vm.name} ({target.cpu}).")
    elif vm.cpu_mode == "host-passthrough":
        yield Obstacle(
            f"{vm.name} sees its host's own CPU; {target.name} must have the same model.",
            blocking=False,
        )


def _files(vm: Needs, target: Target) -> Iterator[Obstacle]:
    media = {disk.source: disk.target for disk in vm.media}
    for path in sorted(target.missing):
        if path in media:
            yield Obstacle(
                f"{path} is missing on {target.name}; {media[path]} will be empty there.",
                blocking=False,
            )
        else:
            yield Obstacle(f"{path} is missing on {target.name}, and {vm.name} needs it.")


def _programs(vm: Needs, target: Target) -> Iterator[Obstacle]:
    for name in sorted(target.missing_programs):
        why = f"{vm.name} has a TPM" if name == "swtpm" else "a move needs it"
        yield Obstacle(f"The program {name} is missing on {target.name}; {why}.")


def _versions(now: Now, target: Target) -> Iterator[Obstacle]:
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

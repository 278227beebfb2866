"""What a host lacks for a VM to live there: one list for moves and restores. Pure."""

from collections.abc import Iterator

from labpanel.lib.moving import DomainNeeds, MoveTarget, Obstacle


def lacking(vm: DomainNeeds, target: MoveTarget) -> list[Obstacle]:
    """Everything that the definition asks for and the host does not have. Media are not here: a
    drive can be empty; nor is the CPU, which the owner may change."""
    return [
        *_networks(vm, target),
        *_machine(vm, target),
        *_things(vm, target),
        *_volumes(vm, target),
        *_programs(vm, target),
    ]


def processor(vm: DomainNeeds, target: MoveTarget) -> list[Obstacle]:
    """Whether the guest can run on the host's CPU."""
    if vm.emulated:
        return []
    if target.cpu:
        return [Obstacle(f"The CPU of {target.name} cannot run {vm.name} ({target.cpu}).")]
    if vm.cpu_mode == "host-passthrough":
        said = f"{vm.name} sees its host's own CPU; {target.name} must have the same model."
        return [Obstacle(said, blocking=False)]
    return []


def missing_cards(vm: DomainNeeds, target: MoveTarget) -> tuple[frozenset[str], frozenset[str]]:
    """Networks and bridges that the VM's cards are on and the host does not have."""
    # A bridge of Open vSwitch has no folder "bridge" in sysfs, and is an interface all the same.
    bridges = target.bridges | target.interfaces
    return frozenset(vm.networks) - target.networks, frozenset(vm.bridges) - bridges


def _networks(vm: DomainNeeds, target: MoveTarget) -> Iterator[Obstacle]:
    networks, bridges = missing_cards(vm, target)
    for name in sorted(networks):
        yield Obstacle(f"The network {name} is not active on {target.name}.")
    for name in sorted(bridges):
        yield Obstacle(f"The bridge {name} is missing on {target.name}.")
    for name in vm.directs:
        if name not in target.interfaces:
            yield Obstacle(f"The network interface {name} is missing on {target.name}.")


def _machine(vm: DomainNeeds, target: MoveTarget) -> Iterator[Obstacle]:
    if target.machine and vm.emulator not in target.missing:
        yield Obstacle(
            f"{target.name} cannot run the machine type {vm.machine} of {vm.name} "
            f"({target.machine})."
        )


def _things(vm: DomainNeeds, target: MoveTarget) -> Iterator[Obstacle]:
    for thing in vm.things:
        if thing.path in target.missing:
            said = thing.words[:1].upper() + thing.words[1:]
            yield Obstacle(f"{said} is missing on {target.name}, and {vm.name} needs it.")


def _volumes(vm: DomainNeeds, target: MoveTarget) -> Iterator[Obstacle]:
    for pool, volume in vm.volumes:
        if (pool, volume) in target.missing_volumes:
            yield Obstacle(
                f"The volume {volume} of the storage pool {pool} is missing on {target.name}, and "
                f"{vm.name} needs it."
            )


def _programs(vm: DomainNeeds, target: MoveTarget) -> Iterator[Obstacle]:
    for name in vm.programs:
        if name in target.missing_programs:
            yield Obstacle(f"The program {name} is missing on {target.name}; {vm.name} has a TPM.")

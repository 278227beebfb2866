"""`./panel vm show VM`: one VM and its disks."""

from dataclasses import dataclass

from django.utils import timezone

from hosts.models import VM
from hosts.selectors.host_facts import VMFacts, vm_facts
from hosts.selectors.naming import find_vm
from labpanel.lib.actor import Actor
from labpanel.verbs.fields import word
from labpanel.verbs.output import gap, print_table, say
from labpanel.verbs.verb import ApiRoute, Verb

_FACTS = (
    "name",
    "uuid",
    "host",
    "state",
    "state_reason",
    "reason",
    "vcpus",
    "memory_bytes",
    "last_seen",
)
_DISK = ("target", "source", "format", "capacity_bytes", "file_system", "drives")


@dataclass(frozen=True, slots=True)
class OneVM:
    vm: str = word("its name, its UUID, or the unique beginning of either")


def _do(_: Actor, given: OneVM) -> VM:
    return find_vm(given.vm)


def _facts(vm: VM) -> VMFacts:
    return vm_facts(vm, timezone.now())


def _show(vm: VM) -> None:
    facts = _facts(vm)
    values: dict[str, object] = {**facts}
    for key in _FACTS:
        say(f"{key.replace('_', ' '):<14} {values[key] or '–'}")
    present: list[dict[str, object]] = [
        {**disk, "drives": ", ".join(disk["drives"])}
        for disk in facts["disks"]
        if disk["missing_since"] is None
    ]
    gap()
    print_table(
        [column.replace("_", " ") for column in _DISK],
        [[disk[column] for column in _DISK] for disk in present],
        "none",
    )


VERBS = (
    Verb(
        "vm show",
        "one VM, by name, UUID or their beginning",
        OneVM,
        _do,
        _facts,
        ApiRoute("GET", "vms/<uuid:vm>"),
        _show,
    ),
)

"""`./panel vm …`: the VMs of all hosts."""

import argparse

from django.utils import timezone

from hosts.selectors.host_facts import vm_facts
from hosts.selectors.lists import VMRow, vm_list
from hosts.selectors.naming import find_host, find_vm
from hosts.services import forget_vm, power
from labpanel.cli import waiting
from labpanel.cli.output import gap, print_json, print_table, say
from labpanel.lib.units import size

HELP = "list and show VMs; start, shut down, reboot, switch off"
_FACTS = ("name", "uuid", "host", "state", "reason", "vcpus", "memory_bytes", "last_seen")
_DISK = ("target", "source", "format", "capacity_bytes", "file_system", "drives")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all VMs")
    listing.add_argument("--host", help="of this host alone")
    listing.add_argument("--json", action="store_true")
    show = actions.add_parser("show", help="one VM, by name, UUID or their beginning")
    show.add_argument("vm")
    show.add_argument("--json", action="store_true")
    forget = actions.add_parser("forget", help="take a missing VM off the lists")
    forget.add_argument("vm")
    for verb, (title, _, _) in power.VERBS.items():
        one = actions.add_parser(verb, help=title.lower())
        one.add_argument("vm")
        waiting.add_arguments(one)


def run(options: argparse.Namespace) -> int:
    if options.action == "list":
        return _list(options)
    vm = find_vm(options.vm)
    if options.action == "show":
        facts = vm_facts(vm, timezone.now())
        print_json(facts) if options.json else _print_facts(facts)
        return 0
    if options.action == "forget":
        say(forget_vm.forget(vm))
        return 0
    return waiting.follow(power.ask(vm, options.action), options)


def _list(options: argparse.Namespace) -> int:
    host = find_host(options.host) if options.host else None
    rows = vm_list(timezone.now(), host)
    if options.json:
        print_json([row.as_json() for row in rows])
        return 0
    print_table(
        ("name", "host", "state", "cpus", "memory", "disks", "uuid"),
        [_row(row) for row in rows],
        "No VM was seen yet.",
    )
    return 0


def _row(row: VMRow) -> tuple[object, ...]:
    disks = " ".join(f"{d.target}:{size(d.capacity_bytes)}" for d in row.disks if d.is_disk)
    return row.name, row.host, row.state, row.vcpus, size(row.memory_bytes), disks, row.uuid


def _print_facts(facts: dict[str, object]) -> None:
    for key in _FACTS:
        say(f"{key.replace('_', ' '):<14} {facts[key] or '–'}")
    disks = facts["disks"]
    assert isinstance(disks, list)
    cells = [
        [", ".join(disk[c]) if c == "drives" else disk[c] for c in _DISK]
        for disk in disks
        if disk["missing_since"] is None
    ]
    gap()
    print_table([column.replace("_", " ") for column in _DISK], cells, "none")

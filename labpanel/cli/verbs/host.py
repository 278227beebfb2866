"""`./panel host …`: the machines that the panel looks at."""

import argparse
import sys
from typing import Any

from django.utils import timezone

from hosts.models import Host
from hosts.selectors.host_facts import host_facts
from hosts.selectors.lists import HostRow, host_list, host_row
from hosts.selectors.naming import find_host
from hosts.services import add_host, remove_host
from labpanel.adapters.host_key import HostKey
from labpanel.adapters.ssh import public_key
from labpanel.cli.output import complain, gap, print_json, print_table, say
from labpanel.lib.durations import ago
from labpanel.lib.refusal import Refusal
from labpanel.lib.units import size

_FACTS = (
    "name",
    "target",
    "fingerprint",
    "state",
    "reason",
    "last_seen",
    "libvirt_state",
    "kernel",
    "cpus",
    "libvirt_version",
    "qemu_version",
)
HELP = "add, list, show and remove hosts; print the panel's key"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add a machine by its SSH target")
    add.add_argument("name")
    add.add_argument("target", help="user@address or user@address:port")
    add.add_argument("--fingerprint", help="the machine's host key, as `ssh-keygen -l` prints it")
    local = actions.add_parser("add-local", help="add the machine that the panel runs on")
    local.add_argument("--name", default="", help="its own name, unless given")
    listing = actions.add_parser("list", help="all hosts")
    show = actions.add_parser("show", help="one host: what it is, what it lacks")
    show.add_argument("name")
    remove = actions.add_parser("remove", help="forget a host; the machine is not touched")
    remove.add_argument("name")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    actions.add_parser("key", help="print the line for authorized_keys")
    for one in (add, local, listing, show):
        one.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    actions = {
        "add": _add,
        "add-local": _add_local,
        "list": _list,
        "show": _show,
        "remove": _remove,
        "key": _key,
    }
    return actions[options.action](options)


def _add(options: argparse.Namespace) -> int:
    asked = add_host.check(options.name, options.target)
    key = add_host.fetch_key(asked)
    fingerprint = options.fingerprint or _confirm(asked, key)
    return _added(add_host.add(asked, key, fingerprint), options)


def _add_local(options: argparse.Namespace) -> int:
    return _added(add_host.add_local(options.name), options)


def _confirm(asked: add_host.Asked, key: HostKey) -> str:
    """Show the fingerprint and have it confirmed by a person; never silently."""
    if not sys.stdin.isatty():
        raise Refusal(
            f"{asked.name} shows the host key {key.fingerprint}. If it is the right one, add "
            f"--fingerprint {key.fingerprint}"
        )
    say(f"{asked.name} at {asked.target} shows this host key:")
    gap()
    say(f"  {key.fingerprint}")
    gap()
    say("Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the machine.")
    if input("Is it the same? Type yes: ").strip().lower() not in {"yes", "y"}:
        raise Refusal("Not confirmed; nothing was added.")
    return key.fingerprint


def _added(host: Host, options: argparse.Namespace) -> int:
    row = host_row(host, timezone.now())
    if options.json:
        print_json({**row.as_json(), "missing": host.missing})
        return 0
    vms = host.vms.count()
    say(f"{host.name} is added: {vms} VM{'' if vms == 1 else 's'} found.")
    if row.libvirt.reason:
        complain(row.libvirt.reason)
    _print_missing(row)
    return 0


def _print_missing(row: HostRow) -> None:
    for lack in row.missing:
        say(f"Missing on {row.name}: {lack['what']} ({lack['why']}). Run there: {lack['command']}")


def _list(options: argparse.Namespace) -> int:
    now = timezone.now()
    rows = host_list(now)
    if options.json:
        print_json([row.as_json() for row in rows])
        return 0
    table = [(r.name, r.address, r.state, ago(r.last_seen, now), r.reason) for r in rows]
    print_table(
        ("name", "address", "state", "last seen", "reason"),
        table,
        "There is no host yet: ./panel host add NAME USER@ADDRESS",
    )
    return 0


def _show(options: argparse.Namespace) -> int:
    host = find_host(options.name)
    facts = host_facts(host, timezone.now())
    if options.json:
        print_json(facts)
        return 0
    for key in _FACTS:
        say(f"{key.replace('_', ' '):<16} {facts[key] or '–'}")
    say(f"{'memory':<16} {size(facts['memory_bytes'])}")
    gap()
    print_table(
        ("mount point", "type", "source", "size", "free", "drives"),
        [_file_system(system) for system in facts["file_systems"]],
        "none seen yet",
    )
    _print_missing(host_row(host, timezone.now()))
    return 0


def _file_system(system: dict[str, Any]) -> tuple[object, ...]:
    return (
        system["mount_point"],
        system["fstype"],
        system["source"],
        size(system["size_bytes"]),
        size(system["available_bytes"]),
        ", ".join(system["drives"]),
    )


def _remove(options: argparse.Namespace) -> int:
    host = find_host(options.name)
    if not options.yes and sys.stdin.isatty():
        say(remove_host.what_goes(host))
        if input("Type the host's name to go on: ").strip() != host.name:
            raise Refusal("Not confirmed; nothing was removed.")
    say(remove_host.remove(host))
    return 0


def _key(options: argparse.Namespace) -> int:
    say(public_key())
    return 0

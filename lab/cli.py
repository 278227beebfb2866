"""The commands of ``python3 -m lab``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from lab import claim, drill, faults, guests, hostconf, lifecycle, packages, smart, tree
from lab.commands import LabError
from lab.layout import DEFAULT_NAME, HOST_NAMES, Layout, check_name

Command = Callable[[argparse.Namespace], None]


def layout_of(arguments: argparse.Namespace) -> Layout:
    """The lab that the command is about; LabError when it is not up, or another checkout's."""
    layout = claim.read(check_name(arguments.name))
    if layout is None:
        raise LabError(
            f"There is no practice lab {arguments.name!r}: ./panel demo brings one up, and "
            "LABPANEL_LAB names another."
        )
    claim.must_be_ours(layout)
    return layout


def _up(arguments: argparse.Namespace) -> None:
    layout = lifecycle.up(arguments.name)
    for host in layout.hosts.values():
        print(f"{host.name}: root@{host.address} {hostconf.fingerprint(host)}")


def _ours(arguments: argparse.Namespace) -> None:
    layout = claim.read(check_name(arguments.name))
    if layout is not None:
        claim.must_be_ours(layout)


def _down(arguments: argparse.Namespace) -> None:
    lifecycle.down(arguments.name)


def _status(arguments: argparse.Namespace) -> None:
    report = lifecycle.status(layout_of(arguments))
    if arguments.json:
        print(json.dumps(report, indent=2))
        return
    for row in report["hosts"]:
        state = "answers" if row["ssh"] and row["libvirt"] else "does not answer"
        print(f"{row['name']:6} root@{row['address']:14} {state:16} {row['fingerprint']}")
        for name, guest_state in row["guests"].items():
            print(f"       {name}: {guest_state}")


def _packages(arguments: argparse.Namespace) -> None:
    print(" ".join(packages.PACKAGES))


def _authorize(arguments: argparse.Namespace) -> None:
    try:
        line = Path(arguments.key).read_text()
    except OSError as error:
        raise LabError(f"The key {arguments.key} can't be read: {error.strerror}.") from error
    for host in layout_of(arguments).hosts.values():
        hostconf.authorize(host, line)


def _fingerprint(arguments: argparse.Namespace) -> None:
    print(hostconf.fingerprint(layout_of(arguments).host(arguments.host)))


def _tree(arguments: argparse.Namespace) -> None:
    host = layout_of(arguments).host(arguments.host)
    entries = tree.manifest(host, arguments.domain, arguments.path)
    print(json.dumps(entries, indent=1, ensure_ascii=True))


def _define_odd(arguments: argparse.Namespace) -> None:
    guests.define_odd(layout_of(arguments))


def _start_threaded(arguments: argparse.Namespace) -> None:
    print(guests.start_threaded(layout_of(arguments)))


def _attach_disk(arguments: argparse.Namespace) -> None:
    print(guests.add_disk(layout_of(arguments), arguments.host, arguments.domain, arguments.target))


def _fault(arguments: argparse.Namespace) -> None:
    host = layout_of(arguments).host(arguments.host)
    faults.cause(host, arguments.fault, arguments.target)
    for line in drill.told(host.name, arguments.fault, arguments.target):
        print(line)


def _heal(arguments: argparse.Namespace) -> None:
    layout = layout_of(arguments)
    names = [arguments.host] if arguments.host else HOST_NAMES
    for name in names:
        faults.heal(layout, layout.host(name))
    for line in drill.healed(names):
        print(line)


def _smart(arguments: argparse.Namespace) -> None:
    host = layout_of(arguments).host(arguments.host)
    if arguments.healthy:
        smart.reset(host)
    else:
        smart.swap(host, arguments.text, arguments.json, arguments.device)


def parser() -> argparse.ArgumentParser:
    """The command line, one sub-command per verb."""
    top = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__)
    verbs = top.add_subparsers(required=True, metavar="VERB")

    def verb(
        name: str, command: Command, title: str, prog: str | None = None, more: str = ""
    ) -> argparse.ArgumentParser:
        plain = argparse.RawDescriptionHelpFormatter
        one = verbs.add_parser(
            name, help=title, description=title, epilog=more, prog=prog, formatter_class=plain
        )
        default = os.environ.get("LABPANEL_LAB", DEFAULT_NAME)
        one.add_argument("--name", default=default, help="the lab's name (%(default)s)")
        one.set_defaults(command=command)
        return one

    verb("up", _up, "bring the lab up")
    verb("ours", _ours, "fail if the lab is another checkout's")
    verb("down", _down, "remove the lab and every trace of it")
    status = verb("status", _status, "say how the hosts are")
    status.add_argument("--json", action="store_true")
    verb("packages", _packages, "print the Debian packages that the lab needs")
    authorize = verb("authorize", _authorize, "let a public key sign in to every host")
    authorize.add_argument("key", metavar="KEYFILE")
    finger = verb("fingerprint", _fingerprint, "print the fingerprint of a host's ssh key")
    finger.add_argument("host", choices=HOST_NAMES)
    drive = verb("smart", _smart, "answer smartctl on a host with other recordings")
    drive.add_argument("host", choices=HOST_NAMES)
    drive.add_argument("--text", type=Path, metavar="FILE")
    drive.add_argument("--json", type=Path, metavar="FILE")
    drive.add_argument("--device", default=smart.DRIVE, metavar="NAME")
    drive.add_argument("--healthy", action="store_true", help="the lab's own healthy drive")
    listing = verb("tree", _tree, "list a folder inside a guest, with digests, as JSON")
    listing.add_argument("host", choices=HOST_NAMES)
    listing.add_argument("domain")
    listing.add_argument("path", nargs="?", default="/home")
    verb("define-odd", _define_odd, "define VMs with odd names on alpha")
    verb("start-threaded", _start_threaded, "start a VM on alpha whose disk has an iothread")
    disk = verb("attach-disk", _attach_disk, "plug a new 64 MiB disk into a VM, running or not")
    disk.add_argument("host", choices=HOST_NAMES)
    disk.add_argument("domain")
    disk.add_argument("target", nargs="?", default="vdz")
    fault = verb(
        "fault",
        _fault,
        "put a real fault into a host of the practice lab; `./panel drill heal` mends all",
        drill.PROGRAM,
        drill.listing(),
    )
    fault.add_argument("fault", choices=faults.NAMES)
    fault.add_argument("host", choices=HOST_NAMES)
    fault.add_argument("target", nargs="?", help="images or store; a VM for the faults of QEMU")
    mend = verb("heal", _heal, "undo all faults, of one host or of both", f"{drill.PROGRAM} heal")
    mend.add_argument("host", nargs="?", choices=HOST_NAMES)
    return top


def main(words: list[str]) -> int:
    """Run one command; 0 done, 1 failed with one sentence, 2 wrong use."""
    arguments = parser().parse_args(words)
    if os.geteuid() != 0:
        print("The practice lab makes namespaces and mounts: run it as root.", file=sys.stderr)
        return 1
    try:
        arguments.command(arguments)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0

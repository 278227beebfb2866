"""`./panel host add NAME TARGET`, `./panel host add-local`: take a machine in."""

import argparse
import sys
from dataclasses import dataclass, replace

from django.utils import timezone

from hosts.models import Host
from hosts.selectors.host_facts import HostFactsJson, host_facts
from hosts.selectors.lists import host_row
from hosts.services.machines import add_host
from hosts.verbs.host.missing import print_missing
from labpanel.adapters.ssh.host_key import HostKey
from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from labpanel.verbs.command import Options, PanelCommand, add_fields, add_json, answer, read
from labpanel.verbs.fields import option, word
from labpanel.verbs.output import complain, gap, say
from labpanel.verbs.verb import ApiRoute, Verb


@dataclass(frozen=True, slots=True)
class AddHost:
    name: str = word()
    target: str = word("user@address or user@address:port")
    fingerprint: str = option("the machine's host key, as `ssh-keygen -l` prints it", "")


def _do(_: Actor, given: AddHost) -> Host:
    """Without a fingerprint a Refusal (409) names the one that is to be confirmed."""
    if given.target == add_host.LOCAL:
        return add_host.add_local(given.name)
    asked = add_host.check(given.name, given.target)
    key = add_host.fetch_key(asked)
    if not given.fingerprint:
        raise Refusal(
            f"{asked.name} shows the host key {key.fingerprint}. If it is the right one, send "
            "it as fingerprint.",
            409,
        )
    return add_host.add(asked, key, given.fingerprint)


def _facts(host: Host) -> HostFactsJson:
    return host_facts(host, timezone.now())


def _show(host: Host) -> None:
    row = host_row(host, timezone.now())
    vms = host.vms.count()
    say(f"{host.name} is added: {vms} VM{'' if vms == 1 else 's'} found.")
    if row.libvirt.reason:
        complain(row.libvirt.reason)
    print_missing(row)


ADD = Verb(
    "host add",
    "add a machine by its SSH target",
    AddHost,
    _do,
    _facts,
    ApiRoute("POST", "hosts", 201),
    _show,
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_fields(parser, ADD)
    add_json(parser)


def _run(options: Options) -> int:
    given = read(ADD, options)
    if not given.fingerprint and given.target != add_host.LOCAL:
        asked = add_host.check(given.name, given.target)
        given = replace(given, fingerprint=_confirm(asked, add_host.fetch_key(asked)))
    return answer(ADD, options, given)


def _confirm(asked: add_host.NewHost, key: HostKey) -> str:
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


def _local_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="", help="its own name, unless given")
    add_json(parser)


def _run_local(options: Options) -> int:
    return answer(ADD, options, AddHost(options.name, add_host.LOCAL))


VERBS = (ADD,)
COMMANDS = (
    PanelCommand(("host", "add"), ADD.summary, _run, _arguments, (ADD,)),
    PanelCommand(
        ("host", "add-local"),
        "add the machine that the panel runs on",
        _run_local,
        _local_arguments,
        (ADD,),
    ),
)

"""Take a machine in: its host key confirmed, the panel's key tried, a first look taken.

Whatever is wrong before that is one sentence, and nothing is stored.
"""

import platform
import re
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from hosts.models import Host
from hosts.selectors import machines
from hosts.services.machines.look import look
from labpanel.adapters.errors import AdapterError
from labpanel.adapters.looks import host_facts
from labpanel.adapters.redis import bus
from labpanel.adapters.ssh import host_key, openssh
from labpanel.adapters.ssh.host_key import HostKey
from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.identity import UNKNOWN, Identity
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import Endpoint

LOCAL = "local"
TRY_SECONDS = 15
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class NewHost:
    """A host to be added, checked as far as that goes without asking the machine."""

    name: str
    target: str


def check(name: str, target: str) -> NewHost:
    """Raises Refusal for a name or target that is malformed or taken."""
    if not _NAME.fullmatch(name):
        raise Refusal(
            f"{name!r} is not a name for a host: use letters, digits, - and _, 63 at most, "
            "a letter or digit first."
        )
    if port := openssh.wrong_port(target):
        raise Refusal(
            f"There is no port {port} on any machine: give one from 1 to 65535, or none for 22."
        )
    if target != LOCAL and not openssh.is_target(target):
        raise Refusal(f"{target!r} is not an SSH target: write user@address or user@address:port.")
    if target != LOCAL and "@" not in target:
        target = f"root@{target}"
    taken = Host.objects.filter(name__iexact=name).first()
    if taken is not None:
        raise Refusal(f"There is a host {taken.name} already, at {taken.target}.", 409)
    same = Host.objects.filter(target=target).first()
    if same is not None:
        raise Refusal(f"{target} is already the host {same.name}.", 409)
    return NewHost(name, target)


def fetch_key(asked: NewHost) -> HostKey:
    """The key that the machine shows, to be confirmed by its owner. Raises an AdapterError."""
    return host_key.fetch(asked.name, asked.target)


def add(asked: NewHost, key: HostKey, fingerprint: str) -> Host:
    """Store the host whose owner confirmed `fingerprint`, and look at it at once.

    Raises Refusal, or an AdapterError of the trial connection; then nothing is stored.
    """
    if _plain(fingerprint) != _plain(key.fingerprint):
        raise Refusal(
            f"{asked.name} shows the host key {key.fingerprint}, not {fingerprint}. Nothing was "
            "added: find out which machine answers there.",
            409,
        )
    same = Host.objects.filter(host_key=key.line).first()
    if same is not None:
        raise Refusal(
            f"{asked.target} is the same machine as the host {same.name}: it shows the same host "
            "key.",
            409,
        )
    endpoint = Endpoint(asked.name, asked.target, key.line)
    identity = _try(endpoint)
    try:
        _must_be_new(asked, identity)
    except Refusal:
        _let_go(Machine(endpoint))
        raise
    return _store(asked, key)


def add_local(name: str = "") -> Host:
    """The machine that the panel runs on, under `name` or its own. Asked for twice without a name,
    it is the same. Raises Refusal."""
    known = Host.objects.filter(target=LOCAL).first()
    if known is not None and not name:
        return known
    own = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0]).strip("-") or LOCAL
    asked = check(name or own, LOCAL)
    _must_be_new(asked, host_facts.own_identity())
    return _store(asked, HostKey(""))


def _try(endpoint: Endpoint) -> Identity:
    """Which machine answers there; nothing is left open to one that is not taken."""
    machine = Machine(endpoint)
    try:
        machine.run(["true"], deadline=TRY_SECONDS)
    except Exception:
        _let_go(machine)
        raise
    try:
        return host_facts.look(machine).identity
    except AdapterError:
        return UNKNOWN  # what it lacks is said once it is taken in


def _must_be_new(asked: NewHost, identity: Identity) -> None:
    same = machines.known_as(identity)
    if same is None:
        return
    raise Refusal(
        f"{asked.target} is the same machine as the host {same.name} ({same.target}): it has the "
        "same machine id. Nothing was added. If it is another machine that was made from a copy of "
        "that one's disk, give it an id of its own: `rm /etc/machine-id && "
        "systemd-machine-id-setup`, and restart it.",
        409,
    )


def _let_go(machine: Machine) -> None:
    machine.close()
    machine.channel.forget()


def _store(asked: NewHost, key: HostKey) -> Host:
    try:
        with transaction.atomic():
            host = Host.objects.create(
                name=asked.name,
                target=asked.target,
                host_key=key.line,
                fingerprint=key.fingerprint if key.line else "",
            )
    except IntegrityError as taken:  # another request added it meanwhile
        raise Refusal(f"There is a host {asked.name} or {asked.target} already.", 409) from taken
    look(host, timezone.now())
    host.refresh_from_db()
    bus.publish("inventory")
    return host


def _plain(fingerprint: str) -> str:
    return fingerprint.strip().removeprefix("SHA256:").rstrip("=")

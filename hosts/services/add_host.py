"""Take a machine in: its host key confirmed, the panel's key tried, a first look taken.

Whatever is wrong before that is one sentence, and nothing is stored.
"""

import platform
import re
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from hosts.models import Host
from hosts.services.look import look
from labpanel.adapters import bus, host_key
from labpanel.adapters.host_key import HostKey
from labpanel.adapters.machine import Machine
from labpanel.lib.refusal import Refusal
from labpanel.lib.shapes import Endpoint

LOCAL = "local"
TRY_SECONDS = 15
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A host to be added, checked as far as that goes without asking the machine."""

    name: str
    target: str


def check(name: str, target: str) -> Asked:
    """Raises Refusal for a name or target that is malformed or taken."""
    if not _NAME.fullmatch(name):
        raise Refusal(
            f"{name!r} is no name for a host: use letters, digits, - and _, 63 at most, "
            "a letter or digit first."
        )
    if target != LOCAL and not host_key.is_target(target):
        raise Refusal(f"{target!r} is no SSH target: write user@address or user@address:port.")
    if target != LOCAL and "@" not in target:
        target = f"root@{target}"
    taken = Host.objects.filter(name__iexact=name).first()
    if taken is not None:
        raise Refusal(f"There is a host {taken.name} already, at {taken.target}.", 409)
    same = Host.objects.filter(target=target).first()
    if same is not None:
        raise Refusal(f"{target} is already the host {same.name}.", 409)
    return Asked(name, target)


def fetch_key(asked: Asked) -> HostKey:
    """The key that the machine shows, to be confirmed by its owner. Raises an AdapterError."""
    return host_key.fetch(asked.name, asked.target)


def add(asked: Asked, key: HostKey, fingerprint: str) -> Host:
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
    _try(Endpoint(asked.name, asked.target, key.line))
    return _store(asked, key)


def add_local(name: str = "") -> Host:
    """The machine that the panel runs on, under `name` or its own. Asked for twice without a name,
    it is the same. Raises Refusal."""
    known = Host.objects.filter(target=LOCAL).first()
    if known is not None and not name:
        return known
    own = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0]).strip("-") or LOCAL
    return _store(check(name or own, LOCAL), HostKey(""))


def _try(endpoint: Endpoint) -> None:
    machine = Machine(endpoint)
    try:
        machine.run(["true"], deadline=TRY_SECONDS)
    except Exception:
        machine.close()
        machine.channel.known_hosts().unlink(missing_ok=True)
        raise


def _store(asked: Asked, key: HostKey) -> Host:
    try:
        with transaction.atomic():
            host = Host.objects.create(
                name=asked.name,
                target=asked.target,
                host_key=key.line,
                fingerprint=key.fingerprint if key.line else "",
            )
    except IntegrityError as taken:  # another request was quicker
        raise Refusal(f"There is a host {asked.name} or {asked.target} already.", 409) from taken
    look(host, timezone.now())
    host.refresh_from_db()
    bus.publish("inventory")
    return host


def _plain(fingerprint: str) -> str:
    return fingerprint.strip().removeprefix("SHA256:").rstrip("=")

"""A unix socket of one machine made reachable on another, through the panel's SSH connections.

By default both tunnels end at the panel: the machines need not trust each other.
"""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from labpanel.adapters.ssh.machine import Machine, beside
from labpanel.lib.shapes import Endpoint

_numbers = itertools.count()


@contextlib.contextmanager
def private_machine(endpoint: Endpoint, channel: str) -> Iterator[Machine]:
    """A machine over a separate SSH connection, so that bulk data delays nothing else; the
    connection and its files are gone afterwards."""
    machine = Machine(endpoint, channel)
    try:
        yield machine
    finally:
        end_channel(machine)


def end_channel(machine: Machine) -> None:
    """End a channel that only one job uses (or used, if its worker died)."""
    machine.close()
    for suffix in (".lock", ".log", ".forwards"):
        beside(machine.channel.control_path, suffix).unlink(missing_ok=True)
    for socket in Path(settings.RUNTIME_DIR).glob(f"n-{machine.channel.name}-*"):
        socket.unlink(missing_ok=True)


@contextlib.contextmanager
def relayed(origin: Machine, there: Machine, socket: str, folder: str) -> Iterator[str]:
    """The path on `there` that leads to `socket` on `origin`; a new one in `folder` of `there`.

    The forwards end with the machines' channels, at the latest; here the panel's own end goes.
    """
    if origin.endpoint.target == there.endpoint.target:
        yield socket
        return
    number = next(_numbers)
    here = Path(socket)
    if not origin.endpoint.is_local:
        here = Path(settings.RUNTIME_DIR) / f"n-{origin.channel.name}-{number}"
        origin.forward_to(here, socket)
    far = str(here)
    if not there.endpoint.is_local:
        far = f"{folder}/r{number}"
        there.forward_from(far, here)
    try:
        yield far
    finally:
        if not origin.endpoint.is_local:
            here.unlink(missing_ok=True)

"""The two hosts of a move, each with its libvirt and its files."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from labpanel.adapters.libvirt.hypervisor import opened as libvirt_of
from labpanel.adapters.libvirt.uses.jobs import Moves
from labpanel.adapters.moving import tunnel
from labpanel.adapters.moving.move_host import MoveHost
from labpanel.adapters.ssh.nbd_relay import private_machine
from labpanel.lib.shapes import Endpoint


@dataclass(frozen=True, slots=True)
class End:
    """One host of a move. `libvirt` is a connection for questions; the long call has its own."""

    endpoint: Endpoint
    libvirt: Moves
    ground: MoveHost

    @property
    def name(self) -> str:
        return self.endpoint.name


@dataclass(frozen=True, slots=True)
class Ends:
    source: End
    destination: End
    token: str


@contextlib.contextmanager
def opened(source: Endpoint, destination: Endpoint, token: str) -> Iterator[Ends]:
    """Both hosts, over SSH channels of this move's own that end with it."""
    with contextlib.ExitStack() as stack:
        yield Ends(_end(stack, source, token), _end(stack, destination, token), token)


def _end(stack: contextlib.ExitStack, endpoint: Endpoint, token: str) -> End:
    machine = stack.enter_context(private_machine(endpoint, tunnel.channel(token)))
    ground = stack.enter_context(MoveHost(machine))
    return End(endpoint, stack.enter_context(libvirt_of(endpoint)), ground)

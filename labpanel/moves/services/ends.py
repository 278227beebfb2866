"""The two hosts of a move, each with its libvirt and its files."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labpanel.adapters import tunnel
from labpanel.adapters.ground import GroundWork
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.adapters.hypervisor import opened as libvirt_of
from labpanel.adapters.nbd_relay import private_machine
from labpanel.lib.shapes import Endpoint

SHORT = 15
_OFF = -1  # virDomainGetID of a domain that does not run
_PAUSED = 3  # virDomainState: VIR_DOMAIN_PAUSED
_MIGRATED = 4  # virDomainShutoffReason: VIR_DOMAIN_SHUTOFF_MIGRATED


@dataclass(frozen=True, slots=True)
class Seen:
    """What one host's libvirt says of the VM."""

    known: bool
    active: bool = False
    paused: bool = False
    left: bool = False  # off because it migrated away


@dataclass(frozen=True, slots=True)
class End:
    """One host of a move. `libvirt` is a connection for questions; the long call has its own."""

    endpoint: Endpoint
    libvirt: Hypervisor
    ground: GroundWork

    @property
    def name(self) -> str:
        return self.endpoint.name

    def call(self, verb: str, *, deadline: float = SHORT, **arguments: Any) -> Any:
        return self.libvirt.call(verb, deadline=deadline, **arguments)

    def see(self, uuid: str) -> Seen:
        """Raises an AdapterError when libvirt does not answer: that is no proof of anything."""
        said = self.call("state", uuid=uuid)
        active = said["known"] and said["id"] != _OFF
        return Seen(
            known=said["known"],
            active=active,
            paused=active and said["state"] == _PAUSED,
            left=said["known"] and not active and said["reason"] == _MIGRATED,
        )


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
    ground = stack.enter_context(GroundWork(machine))
    return End(endpoint, stack.enter_context(libvirt_of(endpoint)), ground)

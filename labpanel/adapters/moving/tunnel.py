"""The three unix sockets of a live move, led from the source host to the destination.

Each is forwarded twice, by `ssh -L` to the destination and by `ssh -R` to the source: both tunnels
end at the panel, no port is opened and the hosts need not trust each other. libvirt wants the
sockets of RAM and disks under the same path on both hosts (its docs/migration.rst, "unix").
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from labpanel.adapters.libvirt.uses.moving import Route
from labpanel.adapters.moving.move_host import MoveHost
from labpanel.adapters.ssh.machine import Machine
from labpanel.lib.shapes import Endpoint

# sun_path holds 108 bytes with the closing zero (unix(7)).
_LONGEST = 107
_PLAIN = re.compile(r"[A-Za-z0-9._+-]+")


@dataclass(frozen=True, slots=True)
class Sockets:
    """Their paths on the source; `ram` and `disks` are the same on the destination."""

    daemon: str
    ram: str
    disks: str

    @property
    def route(self) -> Route:
        """For libvirt's migration."""
        return Route(
            destination=f"qemu+unix:///system?socket={self.daemon}",
            migrate_uri=f"unix://{self.ram}",
            disks_uri=f"unix://{self.disks}",
        )


def channel(token: str) -> str:
    """The name of a move's own SSH channels: bulk data never delays the panel's questions."""
    return f"move-{token}"


def names(folder: str, vm_name: str) -> Sockets:
    """Paths below `folder`, ending in what virt-aa-helper's profiles allow where the VM's name
    can stand in a path of this length and in a URI."""
    tail = f".tunnelmigrate.dest.{vm_name}"
    fits = len(f"{folder}/disks{tail}") <= _LONGEST and _PLAIN.fullmatch(vm_name)
    tail = tail if fits else ""
    return Sockets(f"{folder}/daemon", f"{folder}/ram{tail}", f"{folder}/disks{tail}")


@contextlib.contextmanager
def opened(source: MoveHost, destination: MoveHost, token: str, vm_name: str) -> Iterator[Sockets]:
    """Folders on both hosts, owned by their QEMU's user, and the three tunnels between them."""
    try:
        folder = destination.lend(token, vm_name)
        if not _same(source.machine.endpoint, destination.machine.endpoint):
            source.lend(token, vm_name)
        sockets = names(folder, vm_name)
        libvirt = destination.machine.endpoint.libvirt_socket
        _lead(source.machine, destination.machine, sockets.daemon, libvirt, f"d-{token}")
        _lead(source.machine, destination.machine, sockets.ram, sockets.ram, f"m-{token}")
        _lead(source.machine, destination.machine, sockets.disks, sockets.disks, f"n-{token}")
        source.hand_over([sockets.ram, sockets.disks], vm_name)
        yield sockets
    finally:
        close(source, destination, token)


def close(source: MoveHost, destination: MoveHost, token: str) -> None:
    """End the tunnels, take the folders away; what is out of reach is left for the settling."""
    for prefix in "dmn":
        (Path(settings.RUNTIME_DIR) / f"{prefix}-{token}").unlink(missing_ok=True)
    for ground in (source, destination):
        with contextlib.suppress(Exception):  # a host that is gone must not hide the real error
            ground.clear(token)


def _same(one: Endpoint, other: Endpoint) -> bool:
    return one.target == other.target


def _lead(source: Machine, destination: Machine, there: str, far: str, name: str) -> None:
    """Make `far` on the destination reachable as `there` on the source."""
    here = Path(settings.RUNTIME_DIR) / name
    if destination.endpoint.is_local:
        here = Path(far)
    else:
        here = Path(there) if source.endpoint.is_local else here
        destination.forward_to(here, far)
    if not source.endpoint.is_local:
        source.forward_from(there, here)
    elif destination.endpoint.is_local:
        raise ValueError("a move needs two machines")

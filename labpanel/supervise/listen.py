"""Where the web process listens: LABPANEL_LISTEN=ADDRESS:PORT, port 0 for any free one."""

import errno
import os
import socket
from dataclasses import dataclass

from labpanel.adapters.here import port_user

DEFAULT = "127.0.0.1:8000"
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only compared
_ADVICE = "Set LABPANEL_LISTEN to another ADDRESS:PORT, or stop that one first."


class BadListen(Exception):
    """The address cannot be used; the text is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Listen:
    address: str
    port: int

    @property
    def url(self) -> str:
        """As this machine's own browser reaches it."""
        return self._at(_LOOPBACK.get(self.address, self.address))

    @property
    def public(self) -> str:
        """As others reach it: where it listens on all addresses, by one that is not loopback."""
        return self._at(_own_address(self.address) if self.address in _LOOPBACK else self.address)

    def taken(self) -> str:
        """Who else listens here, as a sentence; "" if no process does."""
        used = port_user.used_by(self.address, self.port)
        return f"The panel cannot listen: {used}. {_ADVICE}" if used else ""

    def _at(self, address: str) -> str:
        return (
            f"http://[{address}]:{self.port}" if ":" in address else f"http://{address}:{self.port}"
        )


def _own_address(everywhere: str) -> str:
    """The address that this machine speaks from, without sending anything: connecting a UDP socket
    only asks the routing table (udp(7)). Without a route there is still the machine's name."""
    v6 = ":" in everywhere
    family, far = (socket.AF_INET6, "2001:db8::1") if v6 else (socket.AF_INET, "192.0.2.1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return os.uname().nodename or _LOOPBACK[everywhere]


def parse(text: str) -> Listen:
    """`ADDRESS:PORT`, an IPv6 address in brackets. Raises BadListen."""
    address, colon, port = (text or DEFAULT).rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise BadListen(f"LABPANEL_LISTEN is {text!r}; write ADDRESS:PORT, as in {DEFAULT}.")
    return Listen(address.strip("[]"), int(port))


def settle(wanted: Listen) -> Listen:
    """Make sure that the port is free, and choose one for port 0. Raises BadListen.

    Between this look and the web process's own bind another program may be faster; then the
    web process says so in the log and is tried again.
    """
    family = socket.AF_INET6 if ":" in wanted.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((wanted.address, wanted.port))
        except OSError as error:
            raise BadListen(
                (error.errno == errno.EADDRINUSE and wanted.taken())
                or f"The panel cannot listen on {wanted.address}:{wanted.port}: {error.strerror}. "
                "Set LABPANEL_LISTEN to another ADDRESS:PORT."
            ) from error
        return Listen(wanted.address, probe.getsockname()[1])

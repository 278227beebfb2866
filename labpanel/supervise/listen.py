"""Where the web process listens: LABPANEL_LISTEN=ADDRESS:PORT, port 0 for any free one."""

import socket
from dataclasses import dataclass

DEFAULT = "127.0.0.1:8000"


class BadListen(Exception):
    """The address cannot be used; the text is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Listen:
    address: str
    port: int

    @property
    def url(self) -> str:
        """As this machine's own browser reaches it."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only compared
        address = everywhere.get(self.address, self.address)
        return (
            f"http://[{address}]:{self.port}" if ":" in address else f"http://{address}:{self.port}"
        )


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
                f"The panel cannot listen on {wanted.address}:{wanted.port}: {error.strerror}. "
                "Set LABPANEL_LISTEN to another ADDRESS:PORT."
            ) from error
        return Listen(wanted.address, probe.getsockname()[1])

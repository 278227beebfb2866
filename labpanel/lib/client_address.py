"""Whose request it is: the address that counts, behind proxies that the owner named. Pure.

A header that names another address is believed only as far as it was written by a named proxy:
each proxy appends the address that it was asked from, so the list is read from its right end.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# What one connection at home is given (RFC 6177): a client with one address has all of these.
_V6_PREFIX = 64
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_MOST_HOPS = 20
_LONGEST_HEADER = 4096  # characters


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """`ip` is None where the other end has no address (a unix socket), or an unreadable one."""

    ip: IPAddress | None

    def __str__(self) -> str:
        return str(self.ip) if self.ip is not None else "unknown"

    @property
    def group(self) -> str:
        """What limits are counted by: an IPv4 address, the /64 of an IPv6 one, or "unknown"."""
        if isinstance(self.ip, ipaddress.IPv6Address):
            return str(ipaddress.IPv6Network((int(self.ip), _V6_PREFIX), strict=False))
        return str(self)


def parse(text: str) -> ClientAddress:
    """An address as a socket or a header gives it: bare, with a port, in brackets.

    IPv4 in IPv6 (::ffff:192.0.2.1, 64:ff9b::192.0.2.1) is the IPv4 address.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ClientAddress(None)
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return ClientAddress(found.ipv4_mapped)
        if found in _NAT64:
            return ClientAddress(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return ClientAddress(found)


def is_among(address: ClientAddress, networks: Sequence[IPNetwork]) -> bool:
    return address.ip is not None and any(address.ip in network for network in networks)


def behind(peer: ClientAddress, forwarded_for: str, proxies: Sequence[IPNetwork]) -> ClientAddress:
    """The client of a request that `peer` sent with this X-Forwarded-For.

    The right-most address that is not a named proxy; `peer` where the header says nothing usable.
    What stands left of it was written by the client itself.
    """
    nearest = peer
    if not is_among(peer, proxies):
        return peer
    hops = forwarded_for[-_LONGEST_HEADER:].split(",")[-_MOST_HOPS:]
    for hop in reversed(hops):
        found = parse(hop)
        if found.ip is None:
            return nearest
        nearest = found
        if not is_among(found, proxies):
            return found
    return nearest

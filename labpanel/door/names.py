"""Under which names the panel answers. Pure, but for this machine's own name.

Another name may be a stranger's that leads to this address (DNS rebinding): the stranger's page
would then be of the same origin as the panel. An address is not a name and leads nowhere else.
"""

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

ANY = "*"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Domains that no registry sells: RFC 6762, RFC 8375, and those reserved or refused by ICANN.
_AT_HOME = ("local", "home.arpa", "internal", "lan")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Names:
    """`addresses`: any IP address is served as a name too."""

    names: frozenset[str]
    addresses: bool

    def serves(self, header: str) -> bool:
        """Whether a request with this Host header is answered."""
        found = _HOST.fullmatch(header)
        if found is None:
            return False
        name = (found[1] or found[2]).lower().rstrip(".")
        if ANY in self.names or name in _LOOPBACK or name in self.names:
            return True
        if any(each.startswith(".") and name.endswith(each) for each in self.names):
            return True
        return self.addresses and _is_address(name)


def served(given: Sequence[str], url: str) -> Names:
    """From LABPANEL_ALLOWED_HOSTS and LABPANEL_URL.

    With nothing given: this machine's own names and every address. What is given takes their
    place; the name in LABPANEL_URL and the loopback addresses are served in any case.
    """
    host = urlsplit(url).hostname
    always = {host.lower()} if host else set()
    if given:
        words = {word.lower().strip("[]").rstrip(".") for word in given}
        return Names(frozenset(words | always), addresses=False)
    return Names(frozenset(_own_names() | always), addresses=True)


def origin_of(url: str) -> list[str]:
    """The origin of LABPANEL_URL, whose forms are the panel's own; nothing for no URL."""
    parts = urlsplit(url)
    return [f"{parts.scheme}://{parts.netloc}"] if parts.scheme and parts.netloc else []


def _own_names() -> set[str]:
    name = os.uname().nodename.lower().rstrip(".")
    short = name.partition(".")[0]
    return {name, short, *(f"{short}.{domain}" for domain in _AT_HOME)}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

"""Which hosts are one machine. A host may be known under two names, the panel's own machine too."""

from functools import cache

from hosts.models import Host
from labpanel.adapters.looks import host_facts
from labpanel.lib.identity import Identity


def same_machine(one: Host | None, other: Host | None) -> bool:
    """None stands for the panel's own machine."""
    if one == other or _target(one) == _target(other):
        return True
    return _identity(one).same(_identity(other))


def known_as(identity: Identity, besides: Host | None = None) -> Host | None:
    """The host that is this machine already."""
    others = (host for host in Host.objects.order_by("added_at", "pk") if host != besides)
    return next((host for host in others if host.identity.same(identity)), None)


def _target(host: Host | None) -> str:
    return host.target if host is not None else "local"


def _identity(host: Host | None) -> Identity:
    return host.identity if host is not None else _own()


@cache
def _own() -> Identity:
    return host_facts.own_identity()

"""One turn of looking at a host: over SSH, then at its libvirt. A turn never overlaps itself."""

from datetime import datetime

from hosts.models import Host
from hosts.services.inventory import take_inventory
from hosts.services.probe import probe
from labpanel.lib.alone import alone


def look(host: Host, now: datetime) -> None:
    """A machine that does not answer over SSH has no libvirt to be asked either."""
    with alone(f"look:{host.pk}") as mine:
        if mine and (probe(host, now) or host.target == "local"):
            take_inventory(host, now)

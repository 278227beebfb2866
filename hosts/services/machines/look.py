"""One turn of looking at a host: over SSH, then at its libvirt. A turn never overlaps itself."""

from datetime import datetime

from hosts.models import Host
from hosts.services.inventory.inventory import take_inventory
from hosts.services.machines.probe import probe
from labpanel.lib.single_flight import single_flight


def look(host: Host, now: datetime) -> None:
    """A machine that does not answer over SSH has no libvirt to be asked either."""
    with single_flight(f"look:{host.pk}") as mine:
        if mine and (probe(host, now) or host.target == "local"):
            take_inventory(host, now)

"""Hosts whose machine and libvirt are made up: what the look's tests stand on."""

from datetime import UTC, datetime, timedelta

from hosts.models import Host
from hosts.services.machines.look import look
from tests.fakes.host_facts import FakeLook
from tests.fakes.hypervisor import FakeLibvirt

NOW = datetime(2026, 11, 22, 23, 15, tzinfo=UTC)
LATER = NOW + timedelta(seconds=15)
HOME = "11111111-0000-4000-8000-000000000001"
WEB = "22222222-0000-4000-8000-000000000002"


class Ground:
    """Two hosts, alpha and beta, that answer with what they are told to."""

    def __init__(self, libvirt: FakeLibvirt, machine: FakeLook) -> None:
        self.libvirt = libvirt
        self.machine = machine
        self.alpha = Host.objects.create(name="alpha", target="root@alpha", host_key="k a")
        self.beta = Host.objects.create(name="beta", target="root@beta", host_key="k b")

    def look(self, host: Host, now: datetime = NOW) -> Host:
        look(host, now)
        host.refresh_from_db()
        return host

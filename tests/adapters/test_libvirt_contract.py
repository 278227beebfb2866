"""The same words on libvirt's own test driver and on the fake that the services' tests use."""

from collections.abc import Iterator
from typing import Protocol

import pytest

from labpanel.adapters.errors import Missing
from labpanel.adapters.libvirt.hypervisor import OwnConnection
from labpanel.adapters.libvirt.uses.inventory import ReadsDomains
from labpanel.adapters.libvirt.uses.power import Powers
from labpanel.adapters.libvirt.xml.domain_xml import parse
from labpanel.lib.shapes import Endpoint
from labpanel.lib.vm_state import DomainState, Reason
from tests.fakes.hypervisor import FakeConnection, FakeLibvirt

TEST = Endpoint("practice", "local")
pytestmark = pytest.mark.usefixtures("practice_libvirt")
# The domain that the test driver comes with (libvirt, src/test/test_driver.c).
UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Libvirt(ReadsDomains, Powers, Protocol):
    """What both are."""


@pytest.fixture(params=["real", "fake"])
def libvirt(request: pytest.FixtureRequest) -> Iterator[Libvirt]:
    if request.param == "fake":
        fake = FakeLibvirt()
        fake.put("practice", UUID, "test")
        yield FakeConnection(fake, TEST)
        return
    real = OwnConnection(TEST)
    yield real
    real.close()


def test_an_inventory_is_of_the_same_shape(libvirt: Libvirt) -> None:
    found = libvirt.inventory()
    (report,) = found.domains
    assert (found.unread, found.whole, found.odd) == (frozenset(), True, ())
    assert (report.uuid, report.name, report.state) == (UUID, "test", "running")
    assert (report.persistent, report.autostart, report.rebooted) == (True, False, ())
    assert report.run is not None
    for xml in (report.xml, report.inactive_xml):
        parsed = parse(xml)
        assert (parsed.uuid, parsed.name) == (UUID, "test")


def test_versions_are_whole_numbers(libvirt: Libvirt) -> None:
    versions = libvirt.versions()
    assert sorted(versions) == ["libvirt_version", "qemu_version"]
    assert all(number > 0 for number in versions.values())


def test_power_and_state_go_together(libvirt: Libvirt) -> None:
    libvirt.destroy(UUID)
    off = DomainState(True, "shut off", Reason.DESTROYED, None)
    assert libvirt.state(UUID) == off
    assert off.is_over
    libvirt.start(UUID)
    on = libvirt.state(UUID)
    assert (on.known, on.state, on.reason, on.active) == (True, "running", Reason.BOOTED, True)
    libvirt.reboot(UUID)
    libvirt.shutdown(UUID)
    assert libvirt.state(UUID) == DomainState(True, "shut off", Reason.SHUTDOWN, None)


def test_an_unknown_vm(libvirt: Libvirt) -> None:
    assert libvirt.state(UNKNOWN) == DomainState(known=False)
    for change in (
        libvirt.start,
        libvirt.shutdown,
        libvirt.reboot,
        libvirt.reset,
        libvirt.destroy,
        libvirt.resume,
    ):
        with pytest.raises(Missing):
            change(UNKNOWN)

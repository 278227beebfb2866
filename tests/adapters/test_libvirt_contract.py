"""The same words on libvirt's own test driver and on the fake that the services' tests use."""

from collections.abc import Iterator

import pytest

from labpanel.adapters.domain_xml import STATES, parse
from labpanel.adapters.errors import Missing
from labpanel.adapters.fakes.hypervisor import FakeConnection, FakeLibvirt
from labpanel.adapters.hypervisor import Hypervisor
from labpanel.lib.shapes import Endpoint

TEST = Endpoint("practice", "local", libvirt_socket="test:///default")
# The domain that the test driver comes with (libvirt, src/test/test_driver.c).
UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
Libvirt = Hypervisor | FakeConnection


@pytest.fixture(params=["real", "fake"])
def libvirt(request: pytest.FixtureRequest) -> Iterator[Libvirt]:
    if request.param == "fake":
        fake = FakeLibvirt()
        fake.put("practice", UUID, "test")
        yield FakeConnection(fake, TEST)
        return
    real = Hypervisor(TEST)
    yield real
    real.close()


def test_an_inventory_has_the_same_keys(libvirt: Libvirt) -> None:
    (report,) = libvirt.call("inventory", deadline=10)
    assert sorted(report) == [
        "autostart",
        "id",
        "inactive_xml",
        "name",
        "persistent",
        "reason",
        "state",
        "uuid",
        "xml",
    ]
    found = parse(report["xml"])
    assert (found.uuid, found.name) == (report["uuid"], report["name"]) == (UUID, "test")


def test_versions_are_whole_numbers(libvirt: Libvirt) -> None:
    versions = libvirt.call("versions", deadline=10)
    assert isinstance(versions["libvirt"], int)
    assert isinstance(versions["hypervisor"], int)


def test_power_and_state_go_together(libvirt: Libvirt) -> None:
    for verb, state in (("destroy", "shut off"), ("start", "running"), ("shutdown", "shut off")):
        libvirt.call(verb, deadline=10, uuid=UUID)
        answer = libvirt.call("state", deadline=10, uuid=UUID)
        assert (answer["known"], STATES[answer["state"]]) == (True, state)


def test_an_unknown_vm(libvirt: Libvirt) -> None:
    assert libvirt.call("state", deadline=10, uuid=UNKNOWN)["known"] is False
    with pytest.raises(Missing):
        libvirt.call("start", deadline=10, uuid=UNKNOWN)

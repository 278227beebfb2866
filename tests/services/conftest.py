"""Made-up machines for the services that look at hosts."""

import pytest

from hosts.services.inventory import disks as inventory_disks
from hosts.services.inventory import inventory
from labpanel.adapters.errors import Missing
from labpanel.adapters.images import qemu_img
from labpanel.adapters.looks import host_facts
from tests.fakes.host_facts import FakeLook
from tests.fakes.hypervisor import FakeLibvirt
from tests.services.looked import Ground


@pytest.fixture
def ground(db: None, monkeypatch: pytest.MonkeyPatch) -> Ground:
    libvirt, machine = FakeLibvirt(), FakeLook()
    monkeypatch.setattr(inventory, "pool", libvirt)
    monkeypatch.setattr(host_facts, "look", machine)
    monkeypatch.setattr(inventory_disks, "_looked", {})
    monkeypatch.setattr(inventory, "_asked_versions", {})

    def no_image(*_: object, **__: object) -> None:
        raise Missing("there is no such image")

    monkeypatch.setattr(qemu_img, "info", no_image)
    return Ground(libvirt, machine)

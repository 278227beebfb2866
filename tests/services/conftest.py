"""Made-up machines for the services that look at hosts."""

import pytest

from hosts.services import inventory, inventory_disks
from labpanel.adapters import host_facts, qemu_img
from labpanel.adapters.errors import Missing
from labpanel.adapters.fakes.host_facts import FakeLook
from labpanel.adapters.fakes.hypervisor import FakeLibvirt
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

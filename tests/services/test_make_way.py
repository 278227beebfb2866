"""A VM that got a snapshot loses our checkpoints: with them it could not be loaded."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backups.services.backup import drop_checkpoints_for_snapshots as service
from hosts.models import Host
from labpanel.adapters.errors import TimedOut
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from tests.fakes.hypervisor import FakeLibvirt

VM_UUID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def libvirt(db: None, monkeypatch: pytest.MonkeyPatch) -> FakeLibvirt:
    fake = FakeLibvirt()
    Host.objects.create(name="alpha", target="root@alpha", libvirt_seen_at=timezone.now())
    fake.put("alpha", VM_UUID, "home", disks={"vda": "/srv/a.qcow2", "vdb": "/srv/b.raw"})
    fake.in_the_way = {VM_UUID: ["labpanel-1-2-3"]}
    monkeypatch.setattr(service, "pool", fake)
    return fake


def test_ours_make_way_on_the_disks_that_have_bitmaps(libvirt: FakeLibvirt) -> None:
    service.make_way_for_snapshots(timezone.now())
    assert libvirt.in_the_way == {}
    forgotten = [asked[2] for asked in libvirt.asked if asked[1] == "forget_checkpoints"]
    assert [(one["names"], one["targets"]) for one in forgotten] == [(["labpanel-1-2-3"], ["vda"])]


def test_a_backup_under_way_is_not_disturbed(libvirt: FakeLibvirt) -> None:
    Job.objects.create(kind="backup", lock_key=f"vm:{VM_UUID}", state=State.RUNNING)
    service.make_way_for_snapshots(timezone.now())
    assert libvirt.in_the_way


def test_a_host_that_does_not_answer_costs_the_others_nothing(libvirt: FakeLibvirt) -> None:
    Host.objects.create(
        name="beta", target="root@beta", libvirt_seen_at=timezone.now() - timedelta(hours=1)
    )
    libvirt.fails["forget_checkpoints"] = TimedOut("alpha is busy.")
    service.make_way_for_snapshots(timezone.now())
    assert {asked[0] for asked in libvirt.asked} == {"alpha"}

"""A turn of samples: what is written, what a lost or late reading costs, and who tells whom."""

import math
import time
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from hosts import tasks
from hosts.models import FileSystem, Host, PhysicalDisk, Sample10s, Subject, VirtualDisk
from hosts.services.samples import sample
from labpanel.adapters.errors import TimedOut
from labpanel.adapters.libvirt.hypervisor import pool
from labpanel.lib.packed import unpack
from tests.fakes.turn_cache import FakeTurnCache
from tests.services import sampled
from tests.services.sampled import START

pytestmark = pytest.mark.django_db


def values_of(kind: str, name: str = "") -> list[list[float]]:
    subject = Subject.objects.get(kind=kind, name=name)
    own = Sample10s.objects.filter(
        key__range=(Sample10s.key_of(subject.pk, 0), Sample10s.key_of(subject.pk, 2**32 - 1))
    )
    return [list(unpack(bytes(row.packed))) for row in own.order_by("key")]


def turns(host: Host, answers: list[dict[str, Any]], every: float = 10) -> FakeTurnCache:
    shelf = FakeTurnCache()
    for turn, answer in enumerate(answers):
        sample.record_vms(host, answer, START + turn * every + 3, shelf)
    return shelf


def test_a_vm_s_rates_and_its_devices() -> None:
    host = sampled.host()
    uuid = str(sampled.vm(host).uuid)
    turns(host, [{uuid: sampled.stats(turn)} for turn in range(3)])
    first, *rest = values_of("vm")
    assert math.isnan(first[0])
    assert [row[0] for row in rest] == [50, 50]
    assert first[4] == 262_144 * 1024, "what stands is known at once, without a reading before"
    disk = values_of("virtual-disk", "vda")[-1]
    assert disk[:4] == [0, 1_000_000, 0, 10]
    assert math.isnan(disk[4])
    assert disk[5] == 2
    assert values_of("nic", "52:54:00:00:00:01")[-1] == [100, 0]


def test_the_latest_and_the_recent_values_stand_on_the_subject() -> None:
    host = sampled.host()
    uuid = str(sampled.vm(host).uuid)
    turns(host, [{uuid: sampled.stats(turn)} for turn in range(3)])
    subject = Subject.objects.get(kind="vm")
    assert subject.latest_at == START + 20
    assert unpack(bytes(subject.latest))[0] == 50
    assert unpack(bytes(subject.recent))[-1] == 50


def test_a_vm_that_was_started_again_leaves_a_gap() -> None:
    host = sampled.host()
    uuid = str(sampled.vm(host).uuid)
    turns(host, [{uuid: sampled.stats(1)}, {uuid: sampled.stats(9, life=8)}])
    assert math.isnan(values_of("vm")[1][0])


def test_a_lost_reading_costs_one_gap() -> None:
    host = sampled.host()
    uuid = str(sampled.vm(host).uuid)
    shelf = FakeTurnCache()
    for turn in range(4):
        shelf.loses = turn == 2
        sample.record_vms(host, {uuid: sampled.stats(turn)}, START + turn * 10, shelf)
    assert [math.isnan(row[0]) for row in values_of("vm")] == [True, False, True, False]


def test_unknown_vms_and_media_are_not_sampled() -> None:
    host = sampled.host()
    vm = sampled.vm(host)
    now = timezone.now()
    VirtualDisk.objects.create(vm=vm, target="sda", device="cdrom", first_seen_at=now, seen_at=now)
    answer = {
        str(vm.uuid): sampled.stats(1, disks=("vda", "sda")),
        "5b1f0a3e-0000-4000-8000-000000000000": sampled.stats(1),
    }
    turns(host, [answer])
    assert sorted(Subject.objects.values_list("kind", "name")) == [
        ("nic", "52:54:00:00:00:01"),
        ("virtual-disk", "vda"),
        ("vm", ""),
    ]


def test_a_second_answer_for_one_turn_changes_nothing() -> None:
    host = sampled.host()
    uuid = str(sampled.vm(host).uuid)
    turns(host, [{uuid: sampled.stats(turn)} for turn in range(2)])
    before = list(Sample10s.objects.order_by("key").values_list("key", "packed"))
    sample.record_vms(host, {uuid: sampled.stats(7)}, START + 19, FakeTurnCache())
    assert list(Sample10s.objects.order_by("key").values_list("key", "packed")) == before


def test_a_late_answer_does_not_come_on_top_and_is_rolled_up_again() -> None:
    host = sampled.host()
    uuid = str(sampled.vm(host).uuid)
    turns(host, [{uuid: sampled.stats(turn)} for turn in range(2)])
    Subject.objects.update(rolled_to=START)
    sample.record_vms(host, {uuid: sampled.stats(1)}, START - 300, FakeTurnCache())
    subject = Subject.objects.get(kind="vm")
    assert (subject.latest_at, subject.rolled_to) == (START + 10, START - 300)


def test_queries_do_not_grow_with_the_vms(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    host = sampled.host()
    few = {str(sampled.vm(host, f"vm{number}").uuid): sampled.stats(1) for number in range(2)}
    many = few | {
        str(sampled.vm(host, f"more{number}").uuid): sampled.stats(1) for number in range(20)
    }
    turns(host, [many])
    for number, answer in enumerate((few, many)):
        # media, VMs, subjects; savepoint, rows, executemany's, rolled_to, release
        with django_assert_num_queries(8):
            sample.record_vms(host, answer, START + 60 * number + 60, FakeTurnCache())


def test_a_host_with_the_drives_it_lies_on() -> None:
    host = sampled.host()
    now = timezone.now()
    FileSystem.objects.create(
        host=host,
        mount_point="/srv/images",
        source="/dev/sda1",
        fstype="ext4",
        used_bytes=100,
        available_bytes=900,
        block_chain=[{"name": "sda1", "type": "part"}, {"name": "sda", "type": "disk"}],
        seen_at=now,
    )
    PhysicalDisk.objects.create(host=host, key="wwn-2", device="/dev/sdb", seen_at=now)
    shelf = FakeTurnCache()
    for turn in range(2):
        text = sampled.proc(turn, devices=("sda", "sdb", "sdc"))
        sample.record_machine(host, text, START + turn * 10, shelf)
    row = values_of("host")[1]
    assert row[:5] == [10, 0, 5, 0, 0.5]
    assert row[5:7] == [2**30, 3 * 2**30]
    assert row[10] == pytest.approx(10)
    assert values_of("block-device", "sda")[1][:5] == [10_240, 0, 1, 0, 5]
    assert values_of("block-device", "sdb")
    assert not Subject.objects.filter(name="sdc").exists(), "another host's drive"
    assert values_of("host-nic", "eth0")[1] == [500, 0]
    assert values_of("file-system", "/srv/images")[1] == [100, 900]


def test_a_host_that_booted_leaves_a_gap() -> None:
    host, shelf = sampled.host(), FakeTurnCache()
    for turn in range(2):
        sample.record_machine(host, sampled.proc(turn, boot=f"b{turn}"), START + turn * 10, shelf)
    assert math.isnan(values_of("host")[1][0])


def test_a_round_is_told_once(topics: list[str]) -> None:
    host = sampled.host()
    uuid = str(sampled.vm(host).uuid)
    turns(host, [{uuid: sampled.stats(1)}])
    assert topics == ["samples"]
    sample.record_vms(host, {}, START + 60, FakeTurnCache())
    assert topics == ["samples"]


def test_a_libvirt_that_hangs_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, topics: list[str]
) -> None:
    def hang(*_: Any, **__: Any) -> None:
        raise TimedOut("libvirt on alpha did not answer `stats` within 5 s.")

    monkeypatch.setattr(pool, "send", hang)
    assert sample.sample_vms(sampled.host(), FakeTurnCache()) == 0
    assert not Sample10s.objects.exists()
    assert topics == []


def test_this_machine_s_own_kernel() -> None:
    host = Host.objects.create(name="here", target="local")
    shelf = FakeTurnCache()
    assert sample.sample_machine(host, shelf) >= 1
    subject = Subject.objects.get(kind="host")
    assert abs(subject.latest_at - time.time()) < 30
    assert unpack(bytes(subject.latest))[6] > 0


def test_libvirt_s_own_test_driver(practice_libvirt: None) -> None:
    """A real libvirt child and a real bulk call, by libvirt's built-in driver."""
    host = Host.objects.create(name="test", target="local")
    vm = sampled.vm(host, "test")
    vm.uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f"  # the driver's one domain
    vm.save()
    try:
        assert sample.sample_vms(host, FakeTurnCache()) >= 1
    finally:
        pool.close()
    assert Subject.objects.filter(kind="vm", vm=vm).exists()


def test_a_turn_sends_two_tasks_for_each_host(broker: list[tuple[str, list[Any]]]) -> None:
    """Two, so that a libvirt that hangs costs no reading of the host itself."""
    host = sampled.host()
    tasks.sample_all()
    assert broker == [
        ("hosts.tasks.sample_vms", [host.pk]),
        ("hosts.tasks.sample_machine", [host.pk]),
    ]
    tasks.sample_machine(host.pk + 1)  # removed in between: nothing to do
    assert not Sample10s.objects.exists()

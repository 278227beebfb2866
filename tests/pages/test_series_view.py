"""The JSON that graphs are drawn from."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from hosts.models import VM, Host, Sample1d
from hosts.services.samples.record_samples import Key, Owner, record
from hosts.services.samples.roll_up import roll_up
from labpanel.lib.metrics import LAYOUTS
from labpanel.lib.packed import pack
from labpanel.lib.series import RANGES
from tests.services import sampled

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_one_time() -> Iterator[None]:
    """A slow machine must not move the window between the writing and the asking."""
    with time_machine.travel(1_800_000_123, tick=False):
        yield


@pytest.fixture
def vm() -> VM:
    return sampled.vm(sampled.host(), "ホーム <b>'$(x)'")


def sample(owner: Owner, kind: str, name: str, times: range) -> None:
    for number, at in enumerate(times):
        record({Key(owner, kind, name): [number + 0.5] * len(LAYOUTS[kind])}, at)


def got(client: Client, address: str, status: int = 200) -> Any:
    response = client.get(address)
    assert response.status_code == status, response.content
    return json.loads(response.content)


def test_an_hour_of_a_vm_has_gaps_as_null(signed_in: Client, vm: VM) -> None:
    now = int(time.time()) // 10 * 10
    sample(Owner(vm=vm.pk), "vm", "", range(now - 600, now - 300, 10))
    sample(Owner(vm=vm.pk), "virtual-disk", "vda", range(now - 600, now, 10))
    answer = got(signed_in, f"/vms/{vm.uuid}/series.json?range=1h")
    assert answer["step"] == 10
    assert [chart["id"] for chart in answer["charts"]] == [
        "vm-cpu",
        "vm-memory",
        "virtual-disk-vda-throughput",
        "virtual-disk-vda-requests",
        "virtual-disk-vda-latency",
    ]
    cpu = answer["charts"][0]
    assert (cpu["title"], cpu["unit"]) == ("CPU", "%")
    values = dict(zip(cpu["times"], cpu["series"][0]["values"], strict=True))
    assert values[now - 600] == 0.5
    assert values[now - 310] == 29.5
    assert values[now - 200] is None
    assert values[now - 700] is None
    assert "low" not in cpu["series"][0]
    assert answer["start"] == cpu["times"][0] <= now - 3600
    assert answer["end"] == cpu["times"][-1] + 10 > now


@pytest.mark.parametrize("span", RANGES)
def test_every_range_is_few_points(signed_in: Client, vm: VM, span: str) -> None:
    now = int(time.time())
    sample(Owner(vm=vm.pk), "vm", "", range(now - 1000, now, 10))
    roll_up(now)
    (cpu, _) = got(signed_in, f"/vms/{vm.uuid}/series.json?range={span}")["charts"]
    assert 288 <= len(cpu["times"]) <= 602
    (line, _) = cpu["series"]
    known = [value for value in line["values"] if value is not None]
    assert known
    if span in {"1h", "6h"}:
        assert "low" not in line
    else:
        lows = [value for value in line["low"] if value is not None]
        highs = [value for value in line["high"] if value is not None]
        assert all(low <= mean <= high for low, mean, high in zip(lows, known, highs, strict=True))
        assert max(highs) == 99.5


def test_a_closer_look(signed_in: Client, vm: VM) -> None:
    now = int(time.time()) // 10 * 10
    sample(Owner(vm=vm.pk), "vm", "", range(now - 600, now, 10))
    address = f"/vms/{vm.uuid}/series.json?start={now - 300}&end={now}"
    answer = got(signed_in, address)
    assert (answer["start"], answer["end"]) == (now - 300, now)
    assert answer["charts"][0]["series"][0]["values"][0] == 30.5


def test_a_host_with_its_devices(signed_in: Client) -> None:
    host = sampled.host()
    now = int(time.time()) // 10 * 10
    for kind, name in (("host", ""), ("block-device", "sda"), ("host-nic", "eth0")):
        sample(Owner(host=host.pk), kind, name, range(now - 100, now, 10))
    sample(Owner(host=host.pk), "file-system", "/srv/a {b}", range(now - 100, now, 10))
    titles = [chart["title"] for chart in got(signed_in, "/hosts/alpha/series.json")["charts"]]
    assert titles[:3] == ["CPU", "Load", "Memory"]
    assert titles[4:] == [
        "sda throughput",
        "sda requests",
        "sda time per request",
        "sda busy",
        "Network eth0",
        "Space on /srv/a {b}",
    ]


def test_what_was_never_measured_is_left_out(signed_in: Client, vm: VM) -> None:
    now = int(time.time())
    nan = float("nan")
    record({Key(Owner(vm=vm.pk), "vm", ""): [5, nan, nan, nan, 1024]}, now - 20)
    charts = got(signed_in, f"/vms/{vm.uuid}/series.json")["charts"]
    labels = {chart["id"]: [line["label"] for line in chart["series"]] for chart in charts}
    assert labels == {"vm-cpu": ["used"], "vm-memory": ["given by the host"]}


def test_a_disk_of_long_ago_gets_no_chart(signed_in: Client, vm: VM) -> None:
    now = int(time.time())
    sample(Owner(vm=vm.pk), "virtual-disk", "vdb", range(now - 90_000, now - 89_900, 10))
    sample(Owner(vm=vm.pk), "vm", "", range(now - 100, now, 10))
    charts = got(signed_in, f"/vms/{vm.uuid}/series.json")["charts"]
    assert {chart["id"] for chart in charts} == {"vm-cpu", "vm-memory"}


@pytest.mark.parametrize(
    "query",
    [
        "range=2h",
        "range=",
        "start=x",
        "start=5&end=4",
        "start=1&end=99999999999",
        "start=-1",
        "end=٣",
        "start=1&end=2000000000000",
    ],
)
def test_a_wrong_range_is_refused_in_words(signed_in: Client, vm: VM, query: str) -> None:
    answer = got(signed_in, f"/vms/{vm.uuid}/series.json?{query}", 400)
    assert answer["error"].endswith(".")


def test_unknown_things_are_404(signed_in: Client) -> None:
    unknown = "5b1f0a3e-0000-4000-8000-000000000000"
    assert unknown in got(signed_in, f"/vms/{unknown}/series.json", 404)["error"]
    assert "'nobody'" in got(signed_in, "/hosts/nobody/series.json", 404)["error"]


def test_without_sign_in_nothing_is_shown(client: Client, vm: VM) -> None:
    assert got(client, f"/vms/{vm.uuid}/series.json", 401) == {"error": "Sign in first."}
    assert client.get("/hosts/alpha/series.json").status_code == 401


def test_queries_do_not_grow_with_the_disks(
    signed_in: Client, vm: VM, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    now = int(time.time())
    sample(Owner(vm=vm.pk), "vm", "", range(now - 100, now, 10))
    for disks in (1, 8):
        for number in range(disks):
            sample(Owner(vm=vm.pk), "virtual-disk", f"vd{number}", range(now - 50, now, 10))
        with django_assert_num_queries(5):  # session, user, VM, subjects, rows
            got(signed_in, f"/vms/{vm.uuid}/series.json")


def test_samples_go_with_the_vm_s_host_removed_too(signed_in: Client, vm: VM) -> None:
    """Another's rows are never shown: a key belongs to one subject, whose number never returns."""
    now = int(time.time())
    sample(Owner(vm=vm.pk), "vm", "", range(now - 100, now, 10))
    Host.objects.all().delete()
    other = sampled.vm(sampled.host("beta"), "other")
    sample(Owner(vm=other.pk), "vm", "", range(now - 20, now, 10))
    Sample1d.objects.create(key=1, packed=pack([1] * 15))
    (cpu, _) = got(signed_in, f"/vms/{other.uuid}/series.json")["charts"]
    assert sum(value is not None for value in cpu["series"][0]["values"]) == 2

"""Rates of two readings: what is known is right, what is not known is not a value, never zero."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.rules.samples.host_rates import host_values, own_nics
from hosts.rules.samples.rates import Change, RateCounters, Values, headline
from hosts.rules.samples.vm_rates import counters, vm_values
from labpanel.lib.metrics import LAYOUTS

LIFE = "7"
counts = st.integers(0, 2**62).map(float)
seconds = st.floats(1, 30)


def change(before: dict[str, float], now: dict[str, float], after: float = 10) -> Change:
    return Change(RateCounters(1000, LIFE, before), RateCounters(1000 + after, LIFE, now))


def stats(**more: object) -> dict[str, object]:
    """What libvirt 9.0 answers for a VM of 2 vCPUs with one disk and one NIC (shortened)."""
    return {
        "state.state": 1,
        "cpu.time": 50_000_000_000,
        "vcpu.current": 2,
        "vcpu.maximum": 2,
        "vcpu.0.state": 1,
        "vcpu.0.delay": 1_000_000_000,
        "vcpu.1.state": 1,
        "vcpu.1.delay": 2_000_000_000,
        "balloon.current": 262_144,
        "balloon.available": 250_000,
        "balloon.unused": 100_000,
        "balloon.usable": 150_000,
        "net.count": 1,
        "net.0.name": "vnet4",
        "net.0.rx.bytes": 1000,
        "net.0.tx.bytes": 2000,
        "block.count": 1,
        "block.0.name": "vda",
        "block.0.rd.bytes": 4096,
        "block.0.wr.bytes": 8192,
        "block.0.rd.reqs": 10,
        "block.0.wr.reqs": 20,
        "block.0.rd.times": 5_000_000,
        "block.0.wr.times": 40_000_000,
    } | more


def of_vm(before: dict[str, object], now: dict[str, object]) -> Values:
    first, second = counters(before, {"vnet4": "52:54"}), counters(now, {"vnet4": "52:54"})
    return vm_values(change(first, second), second)


def test_a_vm_of_two_readings() -> None:
    now = stats(
        **{
            "cpu.time": 55_000_000_000,
            "vcpu.1.delay": 3_000_000_000,
            "net.0.rx.bytes": 11_000,
            "block.0.wr.bytes": 8192 + 40_960,
            "block.0.wr.reqs": 30,
            "block.0.wr.times": 60_000_000,
        }
    )
    values = of_vm(stats(), now)
    # 5 s of CPU in 10 s on 2 vCPUs; 1 s of delay; KiB of the balloon
    assert values["vm", ""] == [25, 5, 150_000 * 1024, 150_000 * 1024, 262_144 * 1024]
    assert values["nic", "52:54"] == [1000, 0]
    disk = values["virtual-disk", "vda"]
    assert disk[:4] == [0, 4096, 0, 1]
    assert math.isnan(disk[4]), "nothing was read: reading took no time that anyone knows"
    assert disk[5] == 2.0, "20 ms for 10 requests"


def test_a_layout_s_length() -> None:
    for (kind, _), row in of_vm(stats(), stats()).items():
        assert len(row) == len(LAYOUTS[kind])
    nothing = host_values(change({}, {}), ["sda"], ["eth0"])
    for (kind, _), row in nothing.items():
        assert len(row) == len(LAYOUTS[kind])
        assert all(math.isnan(value) for value in row)


def test_a_disk_keeps_its_numbers_when_another_is_taken_away() -> None:
    two = stats(
        **{f"block.1.{name}": 10**9 for name in ("rd.bytes", "wr.bytes", "rd.reqs", "wr.reqs")}
        | {"block.count": 2, "block.0.name": "vda", "block.1.name": "vdb"}
    )
    one = stats(**{"block.0.name": "vdb", "block.0.rd.bytes": 10**9 + 500})
    values = of_vm(two, one)
    assert values["virtual-disk", "vdb"][0] == 50
    assert ("virtual-disk", "vda") not in values


def test_a_nic_that_nobody_knows_yet_is_left_out() -> None:
    assert not [name for name in counters(stats(), {}) if name.startswith("net")]


def test_groups_that_libvirt_left_out() -> None:
    values = of_vm(stats(), {"state.state": 1})
    assert all(math.isnan(value) for value in values["vm", ""])
    assert list(values) == [("vm", "")]


@given(counts, counts, seconds)
def test_a_rate_is_growth_over_time_and_never_negative(
    before: float, now: float, after: float
) -> None:
    rate = change({"x": before}, {"x": now}, after).rate("x")
    if now < before:
        assert math.isnan(rate)
    else:
        assert rate == pytest.approx((now - before) / after)
        assert rate >= 0


@given(counts, counts, st.one_of(st.floats(-100, 0.99), st.floats(30.01, 1e9)))
def test_no_rate_over_a_gap_or_back_in_time(before: float, now: float, after: float) -> None:
    assert math.isnan(change({"x": before}, {"x": now}, after).rate("x"))


@given(counts, counts)
def test_no_rate_across_another_life(before: float, now: float) -> None:
    other = Change(RateCounters(0, "1", {"x": before}), RateCounters(10, "2", {"x": now}))
    assert math.isnan(other.rate("x"))
    assert other.gauge("x") == now


@pytest.mark.parametrize("gone", ["before", "now", "both"])
def test_no_rate_of_a_field_that_is_missing(gone: str) -> None:
    before = {} if gone != "now" else {"x": 1.0}
    now = {} if gone != "before" else {"x": 1.0}
    assert math.isnan(change(before, now).rate("x"))


def test_no_rate_of_a_first_reading() -> None:
    assert math.isnan(Change(None, RateCounters(0, LIFE, {"x": 1})).rate("x"))


@given(st.lists(counts, min_size=8, max_size=8), st.lists(counts, min_size=8, max_size=8))
def test_shares_of_the_cpu_stay_within_the_whole(before: list[float], grown: list[float]) -> None:
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    first = {f"cpu.{name}": value for name, value in zip(names, before, strict=True)}
    second = {name: value + more for (name, value), more in zip(first.items(), grown, strict=True)}
    shares = host_values(change(first, second), [], [])["host", ""][:4]
    for share in shares:
        assert math.isnan(share) or -1e-6 <= share <= 100.0001
    assert not sum(value for value in shares if value == value) > 100.0001


def test_iowait_that_went_back_costs_only_itself() -> None:
    first = {f"cpu.{name}": 100.0 for name in ("user", "nice", "system", "idle", "irq", "softirq")}
    second = {name: value + 10 for name, value in first.items()}
    row = host_values(
        change(
            first | {"cpu.iowait": 5, "cpu.steal": 0}, second | {"cpu.iowait": 4, "cpu.steal": 0}
        ),
        [],
        [],
    )["host", ""]
    assert row[0] == pytest.approx(100 / 3)
    assert math.isnan(row[2])
    assert row[3] == 0


def test_a_drive_of_two_readings() -> None:
    names = ("reads", "read_sectors", "read_ms", "writes", "write_sectors", "write_ms", "busy_ms")
    before = {f"disk.sda.{name}": 100.0 for name in names}
    now = before | {
        "disk.sda.reads": 200.0,
        "disk.sda.read_sectors": 2100.0,
        "disk.sda.read_ms": 900.0,
        "disk.sda.busy_ms": 20_100.0,
    }
    row = host_values(change(before, now), ["sda"], [])["block-device", "sda"]
    assert row[:5] == [102_400, 0, 10, 0, 8]
    assert math.isnan(row[5])
    assert row[6] == 100, "two queues may be busy at once; a drive is no more than busy"


def test_nics_are_hardware_or_else_not_virtual() -> None:
    fields = ["net.eth0.rx", "net.vnet3.rx", "net.virbr0.rx", "net.up.rx", "net.up.tx", "load1"]
    assert own_nics(["eth0", "eth9"], fields) == ["eth0"]
    assert own_nics([], fields) == ["eth0", "up"]


def test_a_host_s_headline_is_how_busy_it_is() -> None:
    assert headline("host", [10, 5, 80]) == 15
    assert headline("vm", [10, 5]) == 10

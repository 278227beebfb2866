"""What libvirt counts for one VM → its samples, those of its virtual disks and of its NICs.

Fields are those of virConnectGetAllDomainStats (libvirt-domain.c): nanoseconds, bytes, KiB for
the balloon. They are filed under the device's own name first, since `block.N` means another disk
after one was taken away.
"""

import math
from collections.abc import Mapping
from typing import Any

from hosts.rules.samples.rates import Change, Values

KIB = 1024
PERCENT_OF_NS = 100 / 1e9
# More than any VM has: a count is what a host says.
_MOST_DEVICES = 1000
_BLOCK = ("rd.bytes", "wr.bytes", "rd.reqs", "wr.reqs", "rd.times", "wr.times")
_NET = ("rx.bytes", "tx.bytes")
_PLAIN = (
    "cpu.time",
    "vcpu.current",
    "balloon.current",
    "balloon.available",
    "balloon.unused",
    "balloon.usable",
)


def counters(stats: Mapping[str, Any], nics: Mapping[str, str]) -> dict[str, float]:
    """The fields that are sampled, by name: `block.vda.rd.bytes`, `net.52:54:….rx.bytes`.

    `nics` leads from the host's device (vnet3), which changes at every start, to the MAC address;
    a device that is not in it is left out until the XML was read again.
    """
    found = {name: float(stats[name]) for name in _PLAIN if name in stats}
    delays = [
        stats.get(f"vcpu.{number}.delay", math.nan)
        for number in range(_count(stats, "vcpu.maximum"))
        if f"vcpu.{number}.state" in stats
    ]
    if delays:
        found["vcpu.delay"] = float(sum(delays))
    found.update(_of_devices(stats, "block", _BLOCK, None))
    found.update(_of_devices(stats, "net", _NET, nics))
    return found


def _count(stats: Mapping[str, Any], name: str) -> int:
    return max(0, min(int(stats.get(name, 0)), _MOST_DEVICES))


def _of_devices(
    stats: Mapping[str, Any], group: str, fields: tuple[str, ...], names: Mapping[str, str] | None
) -> dict[str, float]:
    found: dict[str, float] = {}
    for number in range(_count(stats, f"{group}.count")):
        device = str(stats.get(f"{group}.{number}.name", ""))
        name = device if names is None else names.get(device, "")
        if not name:
            continue
        for field in fields:
            value = stats.get(f"{group}.{number}.{field}")
            if value is not None:
                found[f"{group}.{name}.{field}"] = float(value)
    return found


def vm_values(change: Change, fields: Mapping[str, float]) -> Values:
    """`fields` are those of the reading now; they name the disks and NICs that there are."""
    values: Values = {("vm", ""): _vm(change)}
    for name in _names(fields, "block", "rd.bytes"):
        values["virtual-disk", name] = _disk(change, f"block.{name}")
    for name in _names(fields, "net", "rx.bytes"):
        prefix = f"net.{name}"
        values["nic", name] = [change.rate(f"{prefix}.rx.bytes"), change.rate(f"{prefix}.tx.bytes")]
    return values


def _names(fields: Mapping[str, float], group: str, field: str) -> list[str]:
    head, tail = f"{group}.", f".{field}"
    return [
        name[len(head) : -len(tail)]
        for name in fields
        if name.startswith(head) and name.endswith(tail)
    ]


def _vm(change: Change) -> list[float]:
    vcpus = change.gauge("vcpu.current") or math.nan
    available = change.gauge("balloon.available", KIB)
    return [
        change.rate("cpu.time", PERCENT_OF_NS) / vcpus,
        change.rate("vcpu.delay", PERCENT_OF_NS) / vcpus,
        available - change.gauge("balloon.unused", KIB),
        change.gauge("balloon.usable", KIB),
        change.gauge("balloon.current", KIB),
    ]


def _disk(change: Change, prefix: str) -> list[float]:
    return [
        change.rate(f"{prefix}.rd.bytes"),
        change.rate(f"{prefix}.wr.bytes"),
        change.rate(f"{prefix}.rd.reqs"),
        change.rate(f"{prefix}.wr.reqs"),
        change.per(f"{prefix}.rd.times", f"{prefix}.rd.reqs", 1e-6),
        change.per(f"{prefix}.wr.times", f"{prefix}.wr.reqs", 1e-6),
    ]

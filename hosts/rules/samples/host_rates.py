"""What a host's kernel counts → the host's samples, those of its drives and of its NICs.

Fields are labpanel.adapters.looks.proc_text's. A host's time is its own uptime: its clock may be
set.
"""

from collections.abc import Iterable

from hosts.rules.samples.rates import Change, Values

SECTOR = 512  # /proc/diskstats counts in these, whatever the drive's own are
PERCENT_OF_US = 100 / 1e6  # PSI totals are in microseconds
PERCENT_OF_MS = 100 / 1e3
# /proc/stat's "cpu" line; guest time is already within user
_CPU = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")

# Names that libvirt, Docker and the kernel give to what is not a cable (systemd.net-naming-scheme).
_VIRTUAL = ("lo", "vnet", "tap", "virbr", "veth", "docker", "br", "ifb", "dummy", "sit", "tun")


def own_nics(hardware: Iterable[str], fields: Iterable[str]) -> list[str]:
    """The NICs that carry the host's traffic: hardware; where there is none that counts (a host
    that is a container or a namespace), all but those with a virtual one's name."""
    counted = [name[4:-3] for name in fields if name.startswith("net.") and name.endswith(".rx")]
    real = set(hardware).intersection(counted)
    return sorted(real or (name for name in counted if not name.startswith(_VIRTUAL)))


def host_values(change: Change, devices: Iterable[str], nics: Iterable[str]) -> Values:
    """`devices` (sda, nvme0n1) and `nics` are those that belong to this host."""
    values: Values = {("host", ""): _host(change)}
    for name in devices:
        values["block-device", name] = _device(change, f"disk.{name}")
    for name in nics:
        values["host-nic", name] = [change.rate(f"net.{name}.rx"), change.rate(f"net.{name}.tx")]
    return values


def _host(change: Change) -> list[float]:
    available = change.gauge("memory.MemAvailable")
    return [
        *_cpu(change),
        change.gauge("load1"),
        change.gauge("memory.MemTotal") - available,
        available,
        change.gauge("memory.SwapTotal") - change.gauge("memory.SwapFree"),
        change.rate("psi.cpu", PERCENT_OF_US),
        change.rate("psi.memory", PERCENT_OF_US),
        change.rate("psi.io", PERCENT_OF_US),
    ]


def _cpu(change: Change) -> list[float]:
    """user, system, iowait, steal in percent of all CPUs' time. The kernel's iowait can go back
    (proc(5)): it has no value then, and the time without it is the whole."""
    grown = {name: change.grown(f"cpu.{name}") for name in _CPU}
    whole = sum(value for value in grown.values() if value == value)
    share = 100 / whole if whole > 0 else float("nan")
    return [
        (grown["user"] + grown["nice"]) * share,
        (grown["system"] + grown["irq"] + grown["softirq"]) * share,
        grown["iowait"] * share,
        grown["steal"] * share,
    ]


def _device(change: Change, prefix: str) -> list[float]:
    return [
        change.rate(f"{prefix}.read_sectors", SECTOR),
        change.rate(f"{prefix}.write_sectors", SECTOR),
        change.rate(f"{prefix}.reads"),
        change.rate(f"{prefix}.writes"),
        change.per(f"{prefix}.read_ms", f"{prefix}.reads"),
        change.per(f"{prefix}.write_ms", f"{prefix}.writes"),
        # in this order: min(100.0, NaN) would be 100
        min(change.rate(f"{prefix}.busy_ms", PERCENT_OF_MS), 100.0),
    ]

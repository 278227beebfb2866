"""Which charts a kind of subject gets, in which words and units."""

from dataclasses import dataclass

from labpanel.lib.metrics import LAYOUTS


@dataclass(frozen=True, slots=True)
class ChartPlan:
    """`lines` are (value of the layout, label); `band`: the range behind each mean is drawn too.

    `title` is completed with the subject's name: "{name} throughput".
    """

    part: str
    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    band: bool = False

    def places(self, kind: str) -> list[int]:
        return [LAYOUTS[kind].index(value) for value, _ in self.lines]


_BYTES = (("read_bytes", "read"), ("write_bytes", "write"))
_REQUESTS = (("read_iops", "read"), ("write_iops", "write"))
_LATENCY = (("read_ms", "read"), ("write_ms", "write"))
_DISK = (
    ChartPlan("throughput", "{name} throughput", "bytes/s", _BYTES),
    ChartPlan("requests", "{name} requests", "requests/s", _REQUESTS),
    ChartPlan("latency", "{name} time per request", "ms", _LATENCY),
)
_NETWORK = (
    ChartPlan(
        "throughput", "Network {name}", "bytes/s", (("rx_bytes", "received"), ("tx_bytes", "sent"))
    ),
)

# In the order of the page: the thing itself, then its devices.
PLANS: dict[str, tuple[ChartPlan, ...]] = {
    "vm": (
        ChartPlan(
            "cpu",
            "CPU",
            "%",
            (("cpu_percent", "used"), ("steal_percent", "waiting for the host")),
            band=True,
        ),
        ChartPlan(
            "memory",
            "Memory",
            "bytes",
            (("memory_used", "used"), ("memory_balloon", "given by the host")),
        ),
    ),
    "host": (
        ChartPlan(
            "cpu",
            "CPU",
            "%",
            (
                ("cpu_user", "programs"),
                ("cpu_system", "kernel"),
                ("cpu_iowait", "waiting for disks"),
                ("cpu_steal", "taken by its own host"),
            ),
            band=True,
        ),
        ChartPlan("load", "Load", "", (("load1", "1 min"),)),
        ChartPlan(
            "memory",
            "Memory",
            "bytes",
            (("memory_used", "used"), ("memory_available", "available"), ("swap_used", "swap")),
        ),
        ChartPlan(
            "pressure",
            "Pressure: share of time that something waits",
            "%",
            (("psi_cpu", "for CPU"), ("psi_memory", "for memory"), ("psi_io", "for disks")),
        ),
    ),
    "virtual-disk": _DISK,
    "block-device": (
        *_DISK,
        ChartPlan("busy", "{name} busy", "%", (("util_percent", "busy"),)),
    ),
    "nic": _NETWORK,
    "host-nic": _NETWORK,
    "file-system": (
        ChartPlan(
            "space",
            "Space on {name}",
            "bytes",
            (("used_bytes", "used"), ("available_bytes", "free")),
        ),
    ),
}

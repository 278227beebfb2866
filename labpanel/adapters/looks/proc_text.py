"""A host's counters: one command that prints the kernel's files, and the reading of its answer.

One SSH command for each host and turn. `head -v` prints each file under `==> name <==` and goes on
where one is missing; 200 lines hold any host that this panel is for, except /proc/stat's tail,
which nothing here needs.
"""

import math
from dataclasses import dataclass

from labpanel.lib import closed

FILES = (
    "/proc/uptime",
    "/proc/sys/kernel/random/boot_id",
    "/proc/stat",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
    "/proc/diskstats",
    "/proc/net/dev",
)
# A NIC with a device behind it is hardware (or its virtio likeness); bridges, taps, veth are not.
COMMAND = (
    "sh",
    "-c",
    f"head -v -n 200 {' '.join(FILES)}; echo '==> nics <=='; ls -d /sys/class/net/*/device",
)
# A host with 200 lines in each file says some 60 KiB.
MOST_BYTES = 1 << 20
_MOST_FIELDS, _MOST_NICS, _MOST_NAME = 8192, 256, 64
# Counters of 64 bits, and bytes of any memory there is.
_MOST = 2.0**64
_CPU = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_MEMORY = {"MemTotal", "MemAvailable", "SwapTotal", "SwapFree"}
# Documentation/admin-guide/iostats.rst, counted from the device's name on
_DISK = {
    "reads": 1,
    "read_sectors": 3,
    "read_ms": 4,
    "writes": 5,
    "write_sectors": 7,
    "write_ms": 8,
    "busy_ms": 10,
}


@dataclass(frozen=True, slots=True)
class ProcReading:
    """`uptime` in seconds; `fields` by name (cpu.user in ticks, memory.MemTotal in bytes, psi.io
    in microseconds, disk.sda.reads, net.eth0.rx in bytes); `nics` those that are hardware."""

    uptime: float
    boot_id: str
    fields: dict[str, float]
    nics: tuple[str, ...]


def parse(text: str) -> ProcReading:
    """Read what COMMAND printed. A part that is missing or unreadable is left out. Never raises;
    `uptime` is NaN where it cannot be read."""
    parts = _split(text)
    fields: dict[str, float] = {}
    for name, read in _READERS.items():
        for line in parts.get(name, ()):
            try:
                found = read(line)
            except (ValueError, IndexError):
                continue  # a line of a kernel newer than this reader: the others still count
            if len(fields) < _MOST_FIELDS:
                fields.update((name, value) for name, value in found.items() if _fits(name, value))
    for kind in ("cpu", "memory", "io"):
        for line in parts.get(f"/proc/pressure/{kind}", ()):
            fields.update(_pressure(kind, line))
    boot = (parts.get("/proc/sys/kernel/random/boot_id") or [""])[0]
    nics = [line.split("/")[4] for line in parts.get("nics", ()) if line.count("/") >= 5]
    plain = sorted({nic for nic in nics if nic and len(nic) <= _MOST_NAME and closed.is_plain(nic)})
    return ProcReading(
        uptime=_uptime(parts.get("/proc/uptime") or [""]),
        boot_id=boot if len(boot) <= _MOST_NAME and closed.is_plain(boot) else "",
        fields=fields,
        nics=tuple(plain[:_MOST_NICS]),
    )


def _uptime(lines: list[str]) -> float:
    try:
        seconds = float(lines[0].split()[0])
    except (ValueError, IndexError):
        return math.nan
    return seconds if 0 <= seconds < _MOST else math.nan


def _fits(name: str, value: float) -> bool:
    return 0 <= value <= _MOST and len(name) <= 2 * _MOST_NAME and closed.is_plain(name)


def _split(text: str) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text[:MOST_BYTES].splitlines():
        if line.startswith("==> ") and line.endswith(" <=="):
            lines = parts.setdefault(line[4:-4], [])
        elif line.strip():
            lines.append(line.strip())
    return parts


def _stat(line: str) -> dict[str, float]:
    if not line.startswith("cpu "):
        return {}
    ticks = line.split()[1:9]
    return {f"cpu.{name}": float(tick) for name, tick in zip(_CPU, ticks, strict=False)}


def _meminfo(line: str) -> dict[str, float]:
    name, _, rest = line.partition(":")
    return {f"memory.{name}": float(rest.split()[0]) * 1024} if name in _MEMORY else {}


def _loadavg(line: str) -> dict[str, float]:
    return {"load1": float(line.split()[0])}


def _diskstats(line: str) -> dict[str, float]:
    words = line.split()[2:]
    return {f"disk.{words[0]}.{name}": float(words[place]) for name, place in _DISK.items()}


def _net(line: str) -> dict[str, float]:
    name, colon, rest = line.rpartition(":")
    words = rest.split()
    if not colon or len(words) < 9:
        return {}
    return {f"net.{name.strip()}.rx": float(words[0]), f"net.{name.strip()}.tx": float(words[8])}


def _pressure(kind: str, line: str) -> dict[str, float]:
    head, _, total = line.partition(" total=")
    some = head.startswith("some") and total.isascii() and total.isdigit() and len(total) < 20
    return {f"psi.{kind}": float(total)} if some else {}


_READERS = {
    "/proc/stat": _stat,
    "/proc/meminfo": _meminfo,
    "/proc/loadavg": _loadavg,
    "/proc/diskstats": _diskstats,
    "/proc/net/dev": _net,
}

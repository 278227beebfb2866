"""A host's counters: one command that prints the kernel's files, and the reading of its answer.

One SSH command for each host and turn. `head -v` prints each file under `==> name <==` and goes on
where one is missing; 200 lines hold any host that this panel is for, except /proc/stat's tail,
which nothing here needs.
"""

from dataclasses import dataclass

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
    """Read what COMMAND printed. A part that is missing or unreadable is left out."""
    parts = _split(text)
    fields: dict[str, float] = {}
    for name, read in _READERS.items():
        for line in parts.get(name, ()):
            try:
                fields.update(read(line))
            except (ValueError, IndexError):
                continue  # a line of a kernel newer than this reader: the others still count
    for kind in ("cpu", "memory", "io"):
        for line in parts.get(f"/proc/pressure/{kind}", ()):
            fields.update(_pressure(kind, line))
    uptime = (parts.get("/proc/uptime") or ["nan"])[0].split()
    boot = parts.get("/proc/sys/kernel/random/boot_id") or [""]
    nics = [line.split("/")[4] for line in parts.get("nics", ()) if line.count("/") >= 5]
    return ProcReading(float(uptime[0]), boot[0], fields, tuple(sorted(nics)))


def _split(text: str) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
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
    some = head.startswith("some") and total.isdigit()
    return {f"psi.{kind}": float(total)} if some else {}


_READERS = {
    "/proc/stat": _stat,
    "/proc/meminfo": _meminfo,
    "/proc/loadavg": _loadavg,
    "/proc/diskstats": _diskstats,
    "/proc/net/dev": _net,
}

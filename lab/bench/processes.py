"""Memory and CPU of the processes of a running panel, from /proc."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labpanel.supervise.claim import Claim

# What tells a process in its command line, and what it is called here.
_NAMES = (
    ("supervise.beat", "beat"),
    ("labpanel.supervise", "supervisor"),
    ("labpanel.door", "web"),
    ("-Q quick", "worker quick"),
    ("-Q long", "worker long"),
    ("redis", "redis"),
    ("libvirt.child", "libvirt connection"),
    ("ssh ", "ssh connection"),
)


@dataclass(frozen=True, slots=True)
class Process:
    """Sizes in bytes: `rss` all that is resident, `pss` with what is shared divided by its users.
    `cpu` in seconds since its start, its ended children included."""

    pid: int
    name: str
    rss: int
    pss: int
    cpu: float


def of_panel(home: Path) -> list[Process]:
    """The supervisor of the panel of `home` and all below it: it adopts what its children leave,
    OpenSSH's masters among it. Empty when none runs."""
    holder = Claim(home).holder()
    if holder is None:
        return []
    found = []
    for pid in _tree(holder.pid):
        try:
            found.append(_read(Path(f"/proc/{pid}")))
        except (OSError, ValueError):
            continue  # it ended meanwhile
    return sorted(found, key=lambda process: -process.rss)


def _tree(top: int) -> list[int]:
    """A process and its descendants."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat(entry)[1])
            except (OSError, IndexError):
                continue  # it ended meanwhile
            below.setdefault(parent, []).append(int(entry.name))
    found = [top]
    for pid in found:
        found += below.get(pid, [])
    return found


def _stat(entry: Path) -> list[str]:
    """proc(5): the fields of `stat` behind the name in brackets, which may hold anything."""
    return (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()


def _read(entry: Path) -> Process:
    sizes = dict(_sizes((entry / "smaps_rollup").read_text("ascii")))
    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    name = next((name for mark, name in _NAMES if mark in words), words[:40].strip() or "?")
    # utime, stime, cutime, cstime
    cpu = sum(map(int, _stat(entry)[11:15])) / os.sysconf("SC_CLK_TCK")
    return Process(int(entry.name), name, sizes.get("Rss", 0), sizes.get("Pss", 0), cpu)


def _sizes(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines()[1:]:
        name, _, rest = line.partition(":")
        yield name, int(rest.split()[0]) * 1024

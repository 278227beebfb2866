"""Find and end the processes of a host by the namespaces that they live in.

A host's processes are told by its network namespace, so a lab whose maker was
killed at any moment is still found whole, and nothing else is ever touched.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.commands import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.layout import Host

NETNS = Path("/run/netns")
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--")

ENVIRONMENT = ("-i", "HOME=/root", "LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
"""What a sign-in would set, independent of the caller; virsh prints names by its locale."""


@dataclass(frozen=True)
class Process:
    """A process as the root namespace sees it; `start` tells a reused pid."""

    pid: int
    start: int
    command: str
    inner_pid: int

    def alive(self) -> bool:
        """Tell whether this very process still runs (a zombie does not)."""
        return _stat(self.pid)[1:] == (self.start, True)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the pid is another process's by now."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _stat(pid: int) -> tuple[str, int, bool]:
    """Command, start time in clock ticks after boot, and whether it is not a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", 0, False
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    # proc(5): the fields after the command are state (3) … starttime (22).
    return head.partition("(")[2], int(fields[19]), fields[0] not in "ZX"


def _inner_pid(pid: int) -> int:
    """The pid that the process has in its own pid namespace; 0 when it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                pids = line.split()[1:]
                return int(pids[-1]) if len(pids) > 1 else 0
    return 0


def exists(host: Host) -> bool:
    """Tell whether the host's network namespace exists."""
    return (NETNS / host.namespace).exists()


def processes(host: Host) -> Iterator[Process]:
    """Yield every process that lives in the host's network namespace."""
    try:
        inode = (NETNS / host.namespace).stat().st_ino
    except FileNotFoundError:
        return
    yield from _in_namespace(inode)


def _in_namespace(inode: int) -> Iterator[Process]:
    """Yield every process whose network namespace has this inode."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        pid = int(folder.name)
        try:
            mine = (folder / "ns/net").stat().st_ino == inode
        except OSError:
            continue
        command, start, running = _stat(pid)
        if mine and running:
            yield Process(pid, start, command, _inner_pid(pid))


def init(host: Host) -> Process | None:
    """The host's first process, whose end ends the whole host."""
    return next((p for p in processes(host) if p.inner_pid == 1), None)


def named(host: Host, command: str) -> list[Process]:
    """Processes of the host by command name (15 characters at most, as in /proc)."""
    return [p for p in processes(host) if p.command == command[:15]]


def enter(host: Host) -> list[str]:
    """Command prefix that runs what follows inside the host."""
    first = init(host)
    if first is None:
        raise LabError(f"The practice host {host.name} of lab {host.lab} is not running.")
    return ["nsenter", f"--target={first.pid}", *NAMESPACES, "env", *ENVIRONMENT]


def _kill(inode: int, title: str, timeout: float) -> None:
    """Kill what lives in a namespace until nothing does.

    The kill of the first process makes the kernel end all others of its pid
    namespace; the loop catches what was just starting outside of it.
    """
    end = time.monotonic() + timeout
    while left := list(_in_namespace(inode)):
        if time.monotonic() > end:
            names = ", ".join(f"{p.command} ({p.pid})" for p in left)
            raise LabError(f"These processes of {title} do not end: {names}.")
        for process in sorted(left, key=lambda p: p.inner_pid != 1):
            process.send(signal.SIGKILL)
        time.sleep(0.05)


@contextmanager
def ended(host: Host, *, timeout: float = 20.0) -> Iterator[None]:
    """Kill everything in the host's namespaces, before the block and after it.

    The block may delete the namespace: it stays held until the second look,
    so that its inode number can't be given to another one in between.
    """
    try:
        descriptor = os.open(NETNS / host.namespace, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        inode = os.fstat(descriptor).st_ino
        _kill(inode, host.namespace, timeout)
        yield
        _kill(inode, host.namespace, timeout)
    finally:
        os.close(descriptor)

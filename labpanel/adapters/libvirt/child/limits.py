"""What this process may take, whatever a libvirt sends: its answers are of a host.

libvirt reads a message of up to 32 MiB (VIR_NET_MESSAGE_MAX, virnetprotocol.x) and makes strings
and lists of it. What does not fit ends this process; the parent says that libvirt hung up.
"""

import contextlib
import resource
from pathlib import Path

GROWTH_BYTES = 56 << 20


def bound_memory() -> None:
    """Call it when all that is needed is loaded and all threads run.

    RLIMIT_DATA counts what a process may write to and shares with none (getrlimit(2), since Linux
    4.7); code and mapped files do not count. No core is dumped of secrets in domain XML.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    taken = _data_bytes()
    with contextlib.suppress(ValueError):  # a lower limit holds already
        resource.setrlimit(resource.RLIMIT_DATA, (taken + GROWTH_BYTES, taken + GROWTH_BYTES))


def _data_bytes() -> int:
    """VmData of proc_pid_status(5)."""
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    raise ValueError("no VmData in /proc/self/status")

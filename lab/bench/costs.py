"""What a piece of work costs on this machine: time, CPU and memory of all its processes.

They are told by a control group that the measurement and whatever it starts (the hosts of a
practice lab among it) belong to; without the right to make one only the time is known.
"""

import contextlib
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_V1, _V2 = Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")
SAMPLE_SECONDS = 0.1
ENDING_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one turn: seconds, CPU seconds, and bytes of memory at the peak above what was there
    before (anonymous pages only); None where it cannot be told."""

    seconds: float
    cpu: float | None
    memory: int | None


def median(turns: Sequence[Cost]) -> Cost:
    """Each value's median."""
    cpus = [turn.cpu for turn in turns if turn.cpu is not None]
    sizes = [turn.memory for turn in turns if turn.memory is not None]
    return Cost(
        statistics.median(turn.seconds for turn in turns),
        statistics.median(cpus) if cpus else None,
        int(statistics.median(sizes)) if sizes else None,
    )


class Group:
    """The control group of this measurement (version 1 or 2)."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def measured(self, do: Callable[[], object]) -> Cost:
        """Do it, and say what it cost."""
        before, cpu, began = self._memory(), self._cpu(), time.monotonic()
        peak, through = [before], threading.Event()

        def watch() -> None:
            while not through.wait(SAMPLE_SECONDS):
                peak[0] = max(peak[0], self._memory())

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            do()
        finally:
            took = time.monotonic() - began
            through.set()
            watcher.join()
        if self._folder is None:
            return Cost(took, None, None)
        return Cost(took, self._cpu() - cpu, peak[0] - before)

    def _cpu(self) -> float:
        if self._folder is None:
            return 0.0
        usage = self._folder / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text("ascii")) / 1e9
        stat = (self._folder / "cpu.stat").read_text("ascii").split()
        return int(stat[stat.index("usage_usec") + 1]) / 1e6

    def _memory(self) -> int:
        if self._folder is None:
            return 0
        pids = (self._folder / "cgroup.procs").read_text("ascii").split()
        return sum(_anonymous(pid) for pid in pids)


def _anonymous(pid: str) -> int:
    try:
        words = Path(f"/proc/{pid}/status").read_text("utf-8", "replace").split()
    except OSError:
        return 0  # it ended meanwhile
    return int(words[words.index("RssAnon:") + 1]) * 1024 if "RssAnon:" in words else 0


@contextlib.contextmanager
def group() -> Iterator[Group]:
    """A group for this process and all that it starts from now on."""
    top = _V1 if _V1.is_dir() else _V2
    folder = top / f"labpanel-bench-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "cgroup.procs").write_text(str(os.getpid()), "ascii")
    except OSError:
        yield Group(None)
        return
    try:
        yield Group(folder)
    finally:
        _dissolve(folder, top)


def _dissolve(folder: Path, top: Path) -> None:
    """A process that is just ending can neither be moved nor left behind: wait for it a little."""
    until = time.monotonic() + ENDING_SECONDS
    while folder.is_dir() and time.monotonic() < until:
        for pid in (folder / "cgroup.procs").read_text("ascii").split():
            with contextlib.suppress(OSError):
                (top / "cgroup.procs").write_text(pid, "ascii")
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(SAMPLE_SECONDS)

"""The lines that the backups' measurement prints, and which of their bars were reached."""

import os
import time
from collections.abc import Sequence

from lab.bench.costs import Cost, median


class Table:
    """Prints a line as soon as it is known; `end` gives the status. CPU seconds and memory stand
    there by the GiB of disk too, so that growth is seen."""

    def __init__(self) -> None:
        self._missed = 0
        self._began = time.monotonic()

    def against(
        self,
        what: str,
        ours: Sequence[Cost],
        name: str,
        theirs: Sequence[Cost],
        *,
        mib: int,
        bar: float = 0.0,
        most: float = 0.0,
    ) -> None:
        """Ours beside theirs, of a disk of `mib`. `bar` is the highest ratio of the times, `most`
        the most seconds."""
        if not theirs:
            self.alone(what, ours, mib=mib, most=most)
            return
        mine, other = median(ours), median(theirs)
        ratio = mine.seconds / other.seconds
        line = f"{what}: {_cost(mine, mib)}; {name}: {_cost(other, mib)}; ratio {ratio:.2f}"
        if mine.cpu and other.cpu:
            line += f", of CPU {mine.cpu / other.cpu:.2f}"
        self._say(line, ratio, bar, mine.seconds, most)

    def alone(self, what: str, ours: Sequence[Cost], *, mib: int, most: float = 0.0) -> None:
        mine = median(ours)
        self._say(f"{what}: {_cost(mine, mib)}", 0.0, 0.0, mine.seconds, most)

    def seconds(self, turns: Sequence[Cost]) -> float:
        return median(turns).seconds

    def end(self) -> int:
        took, load = time.monotonic() - self._began, os.getloadavg()[2]
        print(f"{took:.0f} s in all; load of the last 15 min {load:.1f}", flush=True)
        return 1 if self._missed else 0

    def _say(self, line: str, ratio: float, bar: float, seconds: float, most: float) -> None:
        reached = (not bar or ratio <= bar) and (not most or seconds <= most)
        self._missed += not reached
        if bar:
            line += f" (bar {bar:.2f})"
        if most:
            line += f" (bar {most:.2f} s)"
        print(f"{line}{'' if reached else '  MISSED'}", flush=True)


def _cost(cost: Cost, mib: int) -> str:
    gib = mib / 1024
    cpu = "" if cost.cpu is None else f", {cost.cpu:.1f} CPU s ({cost.cpu / gib:.2f} a GiB)"
    memory = ""
    if cost.memory is not None:
        peak = cost.memory >> 20
        memory = f", {peak} MiB ({peak / gib:.1f} a GiB)"
    return f"{cost.seconds:.2f} s{cpu}{memory}"

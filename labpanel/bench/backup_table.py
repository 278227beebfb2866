"""The lines that the backups' measurement prints, and which of their bars were reached."""

from collections.abc import Sequence

from labpanel.bench.costs import Cost, median


class Table:
    """Prints a line as soon as it is known; `end` gives the status."""

    def __init__(self) -> None:
        self._missed = 0

    def against(
        self,
        what: str,
        ours: Sequence[Cost],
        name: str,
        theirs: Sequence[Cost],
        *,
        bar: float = 0.0,
        most: float = 0.0,
    ) -> None:
        """Ours beside theirs. `bar` is the highest ratio of the times, `most` the most seconds."""
        if not theirs:
            self.alone(what, ours, most=most)
            return
        mine, other = median(ours), median(theirs)
        ratio = mine.seconds / other.seconds
        line = f"{what}: {_cost(mine)}; {name}: {_cost(other)}; ratio {ratio:.2f}"
        self._say(line, ratio, bar, mine.seconds, most)

    def alone(self, what: str, ours: Sequence[Cost], *, most: float = 0.0) -> None:
        mine = median(ours)
        self._say(f"{what}: {_cost(mine)}", 0.0, 0.0, mine.seconds, most)

    def seconds(self, turns: Sequence[Cost]) -> float:
        return median(turns).seconds

    def end(self) -> int:
        return 1 if self._missed else 0

    def _say(self, line: str, ratio: float, bar: float, seconds: float, most: float) -> None:
        reached = (not bar or ratio <= bar) and (not most or seconds <= most)
        self._missed += not reached
        if bar:
            line += f" (bar {bar:.2f})"
        if most:
            line += f" (bar {most:.2f} s)"
        print(f"{line}{'' if reached else '  MISSED'}", flush=True)  # noqa: T201


def _cost(cost: Cost) -> str:
    cpu = "" if cost.cpu is None else f", {cost.cpu:.1f} CPU s"
    memory = "" if cost.memory is None else f", {cost.memory >> 20} MiB"
    return f"{cost.seconds:.2f} s{cpu}{memory}"

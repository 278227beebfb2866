"""Progress over several disks, and what must be looked at while they are copied."""

import time
from collections.abc import Callable
from typing import Any

from labpanel.adapters.images.mover import Tick
from labpanel.jobs.work import Work
from labpanel.lib.shapes import Progress

CHECK_SECONDS = 1.5


class Meter:
    """Adds up the disks of one job. Raises at a tick when the job must stop.

    `sizes` are the bytes expected of each; a tick says better (only candidates are read)."""

    def __init__(self, work: Work, sizes: dict[str, int], phase: str) -> None:
        self._work, self._sizes, self._phase = work, dict(sizes), phase
        self._done = dict.fromkeys(sizes, 0)
        self._began = self._checked = time.monotonic()
        self._more: list[Callable[[], None]] = []

    def also(self, look: Callable[[], None]) -> None:
        """Call `look` at every check; it raises when the job must stop."""
        self._more.append(look)

    def of(self, target: str) -> Callable[[Tick], None]:
        """What takes the ticks of one disk."""
        return lambda tick: self._tick(target, tick)

    def event(self, event: dict[str, Any]) -> None:
        """A tick as the keeper sends it; events of small files do not count."""
        if event["disk"] in self._sizes:
            self._tick(event["disk"], Tick.of(event))

    def _tick(self, target: str, tick: Tick) -> None:
        self._sizes[target], self._done[target] = tick.total_bytes, tick.done_bytes
        now, done = time.monotonic(), sum(self._done.values())
        speed = done / (now - self._began) if now > self._began else None
        self._work.progress(
            Progress(done, sum(self._sizes.values()), speed, f"{self._phase} {target}")
        )
        if now - self._checked >= CHECK_SECONDS:
            self._checked = now
            self._work.check()
            for look in self._more:
                look()

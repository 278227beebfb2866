"""Asks each process for a sign of life, and kills what gives none: its keeper starts it again.

A process that hangs still runs: only what it does tells. The web answers, redis answers PING,
workers and beat stamp their files (signs.py).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labpanel.supervise import health, signs
from labpanel.supervise.child import Child

EVERY = 5.0
# A start on a busy machine: imports, the first connection to the broker.
START_SECONDS = 180.0
# This late for a look of its own, the whole machine was suspended, and no process could give a
# sign.
LATE = 10.0
log = logging.getLogger("panel")


def hung(now: float, began: float, heard: float | None, excused: float, limit: float) -> bool:
    """Whether a process is to be killed. All times by CLOCK_MONOTONIC: its start, its last sign,
    and until when it is excused because what it needs was away."""
    if heard is None or heard < began:
        return now - max(began, excused) > max(limit, START_SECONDS)
    return now - max(heard, excused) > limit


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question brought. `broker`: nothing says that the broker is away."""

    spoke: bool = True
    broker: bool = True


class Watch:
    """`url` is where the web process answers, `token` what it was started with: the answer of
    another panel on that port is no sign of life."""

    def __init__(
        self,
        children: Sequence[Child],
        url: str,
        clock: Callable[[], float] = time.monotonic,
        token: str = "",
    ) -> None:
        self._children = [child for child in children if child.service.sign]
        self._url = url
        self._token = token
        self.clock = clock
        self._heard: dict[str, float | None] = {}
        self._excused: dict[str, float] = {}
        self._looked = clock()
        for child in self._children:
            if child.service.sign == "stamp":
                signs.make(child.service.name)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.look()
            except Exception:
                log.exception("the processes could not be looked at")
            try:
                await asyncio.wait_for(stop.wait(), EVERY)
            except TimeoutError:
                pass  # it is time to look again

    async def look(self) -> None:
        """Ask all at once, and kill what hangs."""
        if self.clock() - self._looked > EVERY + LATE + health.ANSWER_SECONDS:
            self._excuse(self._children)
        answers = await asyncio.gather(*(self._ask(child) for child in self._children))
        self._looked = self.clock()
        if not all(answer.broker for answer in answers):
            # Workers and beat can do nothing without their broker.
            self._excuse([child for child in self._children if child.service.sign == "stamp"])
        for child in self._children:
            if child.began is not None and self._hangs(child, child.began):
                child.kill(f"gave no sign of life for {child.service.silent:.0f} s")

    async def _ask(self, child: Child) -> Answer:
        service = child.service
        if service.sign == "stamp":
            self._heard[service.name] = await asyncio.to_thread(signs.heard, service.name)
            return Answer()
        if service.sign == "ping" and service.socket is not None:
            pong = await asyncio.to_thread(health.pongs, f"unix://{service.socket}")
            answer = Answer(spoke=pong, broker=pong)
        else:
            said = await asyncio.to_thread(health.says, self._url)
            if said is not None and not health.is_of(said, self._token):
                said = None
            # Redis of the panel's own is asked itself.
            away = said is not None and said.get("redis") not in {None, "ok"}
            answer = Answer(spoke=said is not None, broker=not away)
        if answer.spoke:
            self._heard[service.name] = self.clock()
        return answer

    def _hangs(self, child: Child, began: float) -> bool:
        name = child.service.name
        excused = self._excused.get(name, 0.0)
        return hung(self.clock(), began, self._heard.get(name), excused, child.service.silent)

    def _excuse(self, children: Sequence[Child]) -> None:
        for child in children:
            self._excused[child.service.name] = self.clock()

"""Tasks that take longer than they may, in a worker whose threads nothing can end."""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

log = logging.getLogger(__name__)
# By queue, in seconds, where celery.BUDGETS has no figure for the task: an estimate, for the sum of
# the deadlines of such a task of `quick` grows with the number of drives or VMs. Jobs of `long` may
# take days: they have a heartbeat, and can be cancelled.
LIMITS = {"quick": 300.0}


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that a thread runs. `about` is its first argument, the key of a host or a job; None
    where it has none."""

    name: str
    about: int | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """One that is past its limit, running for so many seconds."""

    name: str
    about: int | None
    seconds: float


class Overdue:
    """Counts from when it first saw a task, by the monotonic clock. `limit` is for all tasks that
    have none of their own in `budgets`; None: they may take as long as they need."""

    def __init__(self, limit: float | None, budgets: Mapping[str, float] | None = None) -> None:
        self._limit = limit
        self._budgets = budgets or {}
        self._since: dict[str, float] = {}
        self._named: set[str] = set()

    def look(self, active: Mapping[str, RunningTask], now: float | None = None) -> list[Late]:
        """The tasks past their limit; `active` are those that run, by id. Each is logged once."""
        now = time.monotonic() if now is None else now
        self._since = {task: self._since.get(task, now) for task in active}
        self._named &= active.keys()
        late = {
            task: Late(active[task].name, active[task].about, now - since)
            for task, since in self._since.items()
            if self._is_late(active[task].name, now - since)
        }
        self._log(late[task] for task in late if task not in self._named)
        self._named |= late.keys()
        return list(late.values())

    def _is_late(self, name: str, seconds: float) -> bool:
        limit = self._budgets.get(name, self._limit)
        return limit is not None and seconds > limit

    def _log(self, late: Iterable[Late]) -> None:
        for task in late:
            log.error("%s (%s) hangs: no end after %.0f s", task.name, task.about, task.seconds)

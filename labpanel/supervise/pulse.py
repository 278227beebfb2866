"""A worker's sign of life: a message to its own queue, taken from the broker by its consumer and
done by its pool like any other task.

When the whole pool is busy, no message gets through. Then the consumer's loop gives the sign:
each thread's own deadlines see to it that it comes back.
"""

import logging
import threading
from typing import Any

from celery import bootsteps
from celery.worker import state

from labpanel.adapters.redis.turn_cache import RedisTurnCache, TurnCache
from labpanel.celery import BUDGETS
from labpanel.supervise import late_tasks, signs
from labpanel.supervise.overdue import LIMITS, Overdue, RunningTask

EVERY = 10.0
TASK = "labpanel.celery.alive"
log = logging.getLogger(__name__)


class Pulse(bootsteps.StartStopStep):
    """Runs in the worker's main process, beside its consumer."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._stop = threading.Event()
        self._timer: Any = None

    def start(self, worker: Any) -> None:
        queue = queue_of(worker.hostname)
        late = Overdue(LIMITS.get(queue), BUDGETS)
        self._timer = worker.timer.call_repeatedly(EVERY, mark_if_full, (worker, queue, late))
        threading.Thread(target=self._send, args=(worker.app, queue), daemon=True).start()

    def _send(self, app: Any, queue: str) -> None:
        while not self._stop.wait(EVERY):
            try:
                app.send_task(TASK, [queue], queue=queue, expires=EVERY * 0.9, retry=False)
            except Exception as error:  # noqa: BLE001 - whatever the broker says, it is asked again
                log.debug("no message to %s: %s", queue, error)

    def stop(self, worker: Any) -> None:
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()

    def terminate(self, worker: Any) -> None:
        self.stop(worker)


def queue_of(hostname: str) -> str:
    """Workers are called QUEUE@HOST (supervise.services)."""
    return hostname.partition("@")[0]


def mark_if_full(worker: Any, queue: str, overdue: Overdue, shelf: TurnCache | None = None) -> None:
    """No sign while half of a full pool hangs: then the supervisor starts the worker anew."""
    active = {str(request.id): _running(request) for request in tuple(state.active_requests)}
    late = overdue.look(active)
    if len(active) >= worker.concurrency and len(late) * 2 < worker.concurrency:
        signs.mark(queue)
    if late:
        late_tasks.write(shelf or RedisTurnCache(), queue, late)


def _running(request: Any) -> RunningTask:
    """The tasks of the panel take one key, of a host or a job, or nothing."""
    first = request.args[0] if request.args else None
    return RunningTask(str(request.name), first if isinstance(first, int) else None)

"""`python -m labpanel.supervise.beat`: Celery's beat, without loading the applications.

It sends names at their times and needs no model; as `celery beat` it would hold all of Django and
every task's imports, about 30 MB more than it needs.

Turns are counted by CLOCK_MONOTONIC and kept in no file. Celery's own scheduler counts by the wall
clock: one that goes back by an hour stops every turn for that hour, over a restart too.
"""

import time
from collections.abc import Callable
from typing import Any

from celery.apps.beat import Beat
from celery.beat import Scheduler

from labpanel.celery import app
from labpanel.supervise import signs


class Turns(Scheduler):
    """Everything is due at the start, then each at its interval; a turn that was missed is not
    made up for."""

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, *args: Any, **more: Any) -> None:
        self._due: dict[str, float] = {}
        super().__init__(*args, **more)

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due; returns the seconds until the next turn."""
        signs.mark("beat")
        now = self.clock()
        for name, entry in list(self.schedule.items()):
            due = self._due.get(name, now)
            if due > now:
                continue
            every = float(self.app.conf.beat_schedule[name]["schedule"])
            self._due[name] = due + every if due + every > now else now + every
            self.apply_entry(entry, producer=self.producer)
        return max(0.0, min(self._due.values(), default=1.0) - self.clock())


class Clock(Beat):
    def init_loader(self) -> None:
        """Celery's own imports every task module here, and with them the applications."""
        app.finalize()


if __name__ == "__main__":
    # A class does as well as its name (celery.utils.imports.symbol_by_name); the stubs know names.
    turns: Any = Turns
    Clock(app=app, scheduler_cls=turns, loglevel="WARNING", quiet=True).run()

"""The Celery application, its two queues and the one table of what runs when.

Every entry expires before its next turn: a worker that was away never works off a pile of stale
turns. `quick` holds many short tasks, `long` the jobs of the ledger.
"""

import os
from typing import Any

from celery import Celery, Task

from labpanel.lib import tempo
from labpanel.lib.single_flight import single_flight
from labpanel.supervise import signs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labpanel.settings")


class SingleTask(Task):  # type: ignore[type-arg]  # celery's class takes no argument at run time
    """A task that still runs in this worker, for the same arguments, is not begun a second time: a
    host that never answers holds one thread. `again` is for those whose message may say something
    new to a run that has begun."""

    abstract = True
    again = False

    def __call__(self, *args: Any, **options: Any) -> Any:
        with single_flight(f"task {self.name} {args}") as mine:
            return super().__call__(*args, **options) if mine or self.again else None


app: "Celery[Task[Any, Any]]" = Celery("labpanel", task_cls="labpanel.celery:SingleTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# By name: only workers load it.
app.steps["worker"].add("labpanel.supervise.pulse:Pulse")

# task → (seconds between turns, queue)
TURNS: dict[str, tuple[float, str]] = {
    "hosts.tasks.sample_all": (10, "quick"),
    "hosts.tasks.probe_all": (tempo.NOW.look_at_hosts, "quick"),
    "hosts.tasks.check_health_all": (tempo.NOW.check_health, "quick"),
    "hosts.tasks.check_drives_all": (tempo.NOW.check_drives, "quick"),
    "hosts.tasks.check_old_blocks_all": (tempo.NOW.check_old_blocks, "quick"),
    "hosts.tasks.roll_up": (60, "quick"),
    "backups.tasks.look_at_stores": (tempo.NOW.look_at_stores, "quick"),
    "backups.tasks.make_way_for_snapshots": (tempo.NOW.make_way_for_snapshots, "quick"),
    "backups.tasks.tend_instant": (tempo.NOW.tend_instant, "quick"),
    "backups.tasks.run_policies": (tempo.NOW.run_policies, "quick"),
    "labpanel.clock.tasks.look": (tempo.NOW.look_at_clock, "quick"),
    "labpanel.jobs.tasks.reap": (tempo.NOW.reap, "quick"),
    "labpanel.jobs.tasks.settle": (tempo.NOW.settle, "quick"),
    "labpanel.panel_copies.tasks.copy_daily": (tempo.NOW.copy_panel, "quick"),
}

# task → seconds after which it hangs, where all deadlines of what it waits for are known: another
# thread's connection over SSH and one of its own (12 each), the look's own deadline, 2 to find that
# the connection is dead, and room for three writes to a busy database (20 each). The tests add up.
BUDGETS: dict[str, float] = {
    "hosts.tasks.sample_machine": 120,
    "hosts.tasks.check_host_health": 120,
    "hosts.tasks.check_host_old_blocks": 120,
}

app.conf.beat_schedule = {
    name: {
        "task": name,
        "schedule": every,
        "options": {"queue": queue, "expires": every * 0.9},
    }
    for name, (every, queue) in TURNS.items()
}


@app.task(name="labpanel.celery.alive")
def alive(queue: str) -> None:
    """A worker's message to itself."""
    signs.mark(queue)

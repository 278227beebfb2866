"""The Celery application, its two queues and the one table of what runs when.

Every entry expires before its next turn: a worker that was away never works off a pile of stale
turns. `quick` holds many short tasks, `long` the jobs of the ledger.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labpanel.settings")

app = Celery("labpanel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# task → (seconds between turns, queue)
TURNS: dict[str, tuple[float, str]] = {
    "hosts.tasks.sample_all": (10, "quick"),
    "hosts.tasks.probe_all": (15, "quick"),
    "hosts.tasks.check_health_all": (30, "quick"),
    "hosts.tasks.check_drives_all": (60, "quick"),
    "hosts.tasks.roll_up": (60, "quick"),
    "backups.tasks.look_at_stores": (120, "quick"),
    "backups.tasks.make_way_for_snapshots": (30, "quick"),
    "backups.tasks.tend_instant": (15, "quick"),
    "backups.tasks.run_policies": (60, "quick"),
    "labpanel.jobs.tasks.reap": (15, "quick"),
    "labpanel.moves.tasks.settle_open": (30, "quick"),
}

app.conf.beat_schedule = {
    name: {
        "task": name,
        "schedule": every,
        "options": {"queue": queue, "expires": every * 0.9},
    }
    for name, (every, queue) in TURNS.items()
}

"""Tasks of the panel's worker that hang, in sentences for the settings page."""

from collections.abc import Iterable

from hosts.models import Host
from labpanel.adapters.redis.turn_cache import RedisTurnCache, TurnCache
from labpanel.jobs.kinds import KINDS
from labpanel.lib.durations import span
from labpanel.supervise import late_tasks
from labpanel.supervise.overdue import LIMITS, Late

_OF_JOB = frozenset(kind.task for kind in KINDS.values())


def late_sentences(shelf: TurnCache | None = None) -> list[str]:
    """One for each task, the longest first; asks the database only if there is one."""
    shelf = shelf or RedisTurnCache()
    late = [task for queue in LIMITS for task in late_tasks.read(shelf, queue)]
    names = _names(late) if late else {}
    return [_sentence(task, names) for task in sorted(late, key=lambda task: -task.seconds)]


def _names(late: Iterable[Late]) -> dict[int, str]:
    keys = [task.about for task in late if task.about is not None]
    return dict(Host.objects.filter(pk__in=keys).values_list("pk", "name"))


def _sentence(task: Late, names: dict[int, str]) -> str:
    about = f"job {task.about}" if task.name in _OF_JOB else names.get(task.about or 0, "")
    what = f"{task.name} for {about}" if about else task.name
    return (
        f"The task {what} has been running for {span(task.seconds)}; the worker is restarted when "
        "half of its threads are held like this."
    )

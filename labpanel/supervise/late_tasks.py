"""The tasks of a worker that are past their limit, kept in Redis for the settings page.

A worker writes them at each look while there are some; what it no longer writes is gone soon.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

from labpanel.adapters.answers import safe_json
from labpanel.adapters.redis.turn_cache import TurnCache
from labpanel.lib.closed import Odd
from labpanel.lib.shaped import shaped
from labpanel.supervise.overdue import Late

# Three looks of the worker (pulse.EVERY).
KEPT_SECONDS = 30


def write(shelf: TurnCache, queue: str, late: Sequence[Late]) -> None:
    value = json.dumps([asdict(task) for task in late]).encode()
    shelf.put(_key(queue), value, seconds=KEPT_SECONDS)


def read(shelf: TurnCache, queue: str) -> list[Late]:
    """Empty where no worker says anything."""
    value = shelf.take(_key(queue))
    if value is None:
        return []
    try:
        found: list[Late] = shaped(list[Late], safe_json.parse(value), "list of tasks")
    except (safe_json.UnsafeJson, Odd):
        return []  # another version of the panel wrote it, a moment ago
    return found


def _key(queue: str) -> str:
    return f"late-tasks:{queue}"

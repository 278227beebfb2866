"""What a job notes of itself that others read later, as typed values.

A note is a frozen dataclass; the fields of a job's notes lie side by side in its `state_data`.
What a job owes to hosts is no note: obligations.py.
"""

from dataclasses import fields
from typing import Any, TypeVar, cast

from labpanel.jobs.models import Job
from labpanel.lib.shaped import shaped

Note = TypeVar("Note")


def noted(job: Job, shape: type[Note]) -> Note | None:
    """None where the job noted no such thing. Raises Odd for one that does not fit."""
    return from_state(job.state_data, shape)


def from_state(state: dict[str, Any], shape: type[Note]) -> Note | None:
    """The note in a row's `state_data`."""
    names = {field.name for field in fields(cast("Any", shape))}
    said = {name: value for name, value in state.items() if name in names}
    return cast("Note", shaped(shape, said, "note")) if said else None

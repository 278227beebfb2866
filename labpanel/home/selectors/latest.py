"""The newest sample of each subject, and its last hour as a small graph."""

import math
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from hosts.models import VM, Host, Subject
from labpanel.lib.metrics import LAYOUTS
from labpanel.lib.packed import unpack
from labpanel.lib.sparkline import sparkline

# Six turns of sampling: an older value is not the present, and is not shown as if it were.
FRESH_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Latest:
    """`values` by the names of labpanel.lib.metrics; a name without a value is left out."""

    name: str = ""
    values: dict[str, float] = field(default_factory=dict)
    spark: str = ""


NOTHING = Latest()
Found = dict[tuple[str, int], list[Latest]]


def latest_of(owner: Host | VM, now: datetime) -> dict[str, list[Latest]]:
    """All subjects of one host or VM by kind, in the order of their names. One query."""
    condition = Q(host=owner) if isinstance(owner, Host) else Q(vm=owner)
    found: dict[str, list[Latest]] = {}
    for subject in Subject.objects.filter(condition).order_by("name"):
        found.setdefault(subject.kind, []).append(_read(subject, now))
    return found


def latest_by_owner(kind: str, now: datetime) -> dict[int, Latest]:
    """The one subject of a kind that each host ("host") or VM ("vm") has, by the owner's pk."""
    subjects = Subject.objects.filter(kind=kind, name="")
    return {
        owner: _read(subject, now)
        for subject in subjects
        if (owner := subject.host_id if kind == "host" else subject.vm_id) is not None
    }


def _read(subject: Subject, now: datetime) -> Latest:
    values: dict[str, float] = {}
    if abs(now.timestamp() - subject.latest_at) <= FRESH_SECONDS:
        row = unpack(bytes(subject.latest))
        names = LAYOUTS.get(subject.kind, ())
        values = {
            name: value for name, value in zip(names, row, strict=False) if not math.isnan(value)
        }
    return Latest(subject.name, values, sparkline(bytes(subject.recent)))

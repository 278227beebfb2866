"""Writing evidence down as stretches of time in which it read the same."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hosts.models import Host, Reading
from labpanel.lib.clock import SLACK

# After a longer time without a look, what was true in between is not known: a new stretch begins.
GAP = timedelta(minutes=20)


def latest(host: Host, kinds: list[str], now: datetime) -> dict[tuple[str, str], Reading]:
    """The newest reading of each (kind, subject), if it is fresh enough to be continued."""
    rows = Reading.objects.filter(
        host=host, kind__in=kinds, last_at__range=(now - GAP, now + SLACK)
    )
    return {(row.kind, row.subject): row for row in rows.order_by("last_at", "pk")}


def record(
    host: Host, readings: Mapping[tuple[str, str], Any], now: datetime
) -> dict[tuple[str, str], Reading]:
    """Write readings {(kind, subject): value} down; returns the row that now holds each."""
    before = latest(host, sorted({kind for kind, _ in readings}), now)
    same = {key: before[key] for key, value in readings.items() if _same(before.get(key), value)}
    Reading.objects.filter(pk__in=[row.pk for row in same.values()]).update(last_at=now)
    fresh = [
        Reading(host=host, kind=key[0], subject=key[1], value=value, first_at=now, last_at=now)
        for key, value in readings.items()
        if key not in same
    ]
    Reading.objects.bulk_create(fresh)
    for row in same.values():
        row.last_at = now
    return {**same, **{(row.kind, row.subject): row for row in fresh}}


def _same(row: Reading | None, value: Any) -> bool:
    return row is not None and bool(row.value == value)

"""How fast a file system of a host fills, by its samples of the last days."""

import math
from datetime import datetime

from hosts.models import Host, Subject
from hosts.selectors.series import look, series
from labpanel.lib.growth import DaysLeft, Growth, days_left, through

DAY = 86_400
# A line through more would hide what changed this week; through less than a day, what a night does.
SPAN, LEAST = 7 * DAY, DAY
POINTS, LEAST_POINTS = 170, 12


def days_until_full(host: Host, mount_point: str, available: int, now: datetime) -> DaysLeft | None:
    """None where it does not fill, or where the samples cannot tell."""
    subject = Subject.objects.filter(host=host, kind="file-system", name=mount_point[:255]).first()
    if subject is None:
        return None
    end = int(now.timestamp())
    view = look(end - SPAN, end, POINTS)
    found = series([subject], view).get(subject.pk)
    if found is None:
        return None
    step = (view.end - view.start) / max(1, len(found.mean[0]))
    points = [
        (place * step / DAY, used)
        for place, used in enumerate(found.mean[0])
        if not math.isnan(used)
    ]
    return days_left(_growth(points), available)


def _growth(points: list[tuple[float, float]]) -> Growth:
    covered = points[-1][0] - points[0][0] if points else 0.0
    if len(points) < LEAST_POINTS or covered * DAY < LEAST:
        return Growth(0)
    return through(points, round(covered))

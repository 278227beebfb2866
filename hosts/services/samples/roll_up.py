"""Roll samples up into the coarser tiers.

Each subject knows up to where the upper tiers hold all of it (`rolled_to`). A turn rolls every
bucket from there to now again, the unfinished one too, so that graphs live; the same bucket
written twice is the same row. A program that adds an older row moves `rolled_to` back
(services/samples/record_samples.py).
"""

from collections.abc import Sequence
from itertools import groupby, pairwise

from django.db import transaction

from hosts.models import TIERS, Sample, Sample5m, Sample10s, Subject
from hosts.rules.samples.rolling import roll
from hosts.selectors.rows import rows

# A row is written at most this long after its time; until then its bucket is rolled again.
GRACE = 60
# At most so much is held in memory at once: 40 subjects' 10 s rows of three hours, some 5 MB.
SUBJECTS, SPAN = 40, 3 * 3600


def roll_up(now: int) -> int:
    """Bring the upper tiers up to `now` (seconds since 1970). Returns how many rows it wrote."""
    written = 0
    oldest = now - Sample10s.KEPT
    known = Subject.objects.filter(latest_at__gte=oldest).order_by("rolled_to", "pk")
    pending = [
        (rolled_to, pk)
        for pk, rolled_to, latest in known.values_list("pk", "rolled_to", "latest_at")
        if latest >= rolled_to
    ]
    for rolled_to, group in groupby(pending, key=lambda row: row[0]):
        ids = [pk for _, pk in group]
        for first in range(0, len(ids), SUBJECTS):
            written += _catch_up(ids[first : first + SUBJECTS], rolled_to, now)
    return written


def _catch_up(subjects: Sequence[int], rolled_to: int, now: int) -> int:
    """Roll what was sampled from `rolled_to` on, a span at a time, each in its own transaction."""
    written = 0
    # A bucket that was pruned in part must not be rolled again: the first whole one is next.
    oldest = -(-(now - Sample10s.KEPT) // Sample5m.STEP) * Sample5m.STEP
    target = (now - GRACE) // Sample5m.STEP * Sample5m.STEP
    known, start = rolled_to, max(rolled_to, oldest)
    while True:
        end = min(now + 1, start + SPAN)
        settled = max(start, min(end, target))
        tiers = pairwise(TIERS) if settled > rolled_to else [(Sample10s, Sample5m)]
        for lower, upper in tiers:
            written += _roll(lower, upper, subjects, start, end)
        # Only where it was not moved back in the meantime.
        Subject.objects.filter(pk__in=subjects, rolled_to=known).update(rolled_to=settled)
        if end > now:
            return written
        known = start = settled


def _roll(
    lower: type[Sample], upper: type[Sample], subjects: Sequence[int], start: int, end: int
) -> int:
    """Write every bucket of `upper` that the time from `start` to `end` touches."""
    first = start // upper.STEP * upper.STEP
    rolled = []
    for subject, own in rows(lower, subjects, first, end).items():
        for bucket, group in groupby(own, key=lambda row: row[0] // upper.STEP * upper.STEP):
            packed = roll([packed for _, packed in group], lower.BLOCKS)
            rolled.append(upper(key=Sample.key_of(subject, bucket), packed=packed))
    with transaction.atomic():
        upper._default_manager.bulk_create(
            rolled, update_conflicts=True, unique_fields=["key"], update_fields=["packed"]
        )
    return len(rolled)

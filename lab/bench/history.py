"""A year of plausible samples, in all tiers, for the subjects of a made-up lab.

Every subject lives one of a few weeks over and over: busy by day, quiet by night, noise, bursts.
Rows go in as they would have come, all subjects of a time together: the pages of the database are
then filled as they are on a panel that has really run that long, not packed as by a bulk load.
"""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from django.db import connection, transaction

from hosts.models import TIERS, Sample, Sample5m, Sample10s, Subject
from hosts.rules.samples.rolling import roll
from labpanel.lib.metrics import LAYOUTS
from labpanel.lib.packed import pack, unpack

YEAR, WEEK, DAY = 365 * 86_400, 7 * 86_400, 86_400
FLAVOURS = 3
PORTION = 50_000
# about how high each value gets; what is not here is a byte rate
_TOPS = {"percent": 60.0, "iops": 300.0, "ms": 8.0, "cpu": 25.0, "psi": 15.0, "load1": 3.0}
_GAUGES = {"memory", "used", "available", "swap"}
_MEMORY, _RATE = 2.0 * 2**30, 2e6

Week = dict[type[Sample], list[bytes]]


def fill(end: int) -> int:
    """Give every subject a year of samples up to `end`. Returns the number of values."""
    chance = random.Random(7)  # noqa: S311 - the same history at every run
    subjects = list(Subject.objects.all())
    kinds = sorted({subject.kind for subject in subjects})
    weeks = {kind: [_week(kind, chance) for _ in range(FLAVOURS)] for kind in kinds}
    lives = [(s.pk, weeks[s.kind][s.pk % FLAVOURS]) for s in subjects]
    values = 0
    for tier in TIERS:
        values += _write(tier, lives, end)
    for subject in subjects:
        own = weeks[subject.kind][subject.pk % FLAVOURS]
        _finish(subject, own, end)
    Subject.objects.bulk_update(subjects, ["latest_at", "latest", "recent", "rolled_to"], 100)
    return values


def _write(tier: type[Sample], lives: Sequence[tuple[int, Week]], end: int) -> int:
    first = (end - min(tier.KEPT, YEAR)) // tier.STEP * tier.STEP
    rows = [(pk, week[tier]) for pk, week in lives]

    def in_order() -> Iterator[tuple[int, bytes]]:
        for at in range(first, end, tier.STEP):
            place = at % WEEK // tier.STEP
            for pk, own in rows:
                yield (pk << 32) + at, own[place]

    insert = f"INSERT INTO {tier._meta.db_table} (key, packed) VALUES (%s, %s)"  # noqa: S608
    with transaction.atomic(), connection.cursor() as cursor:
        source = in_order()
        while portion := list(islice(source, PORTION)):
            cursor.executemany(insert, portion)
    return len(range(first, end, tier.STEP)) * sum(len(own[0]) // 4 for _, own in rows)


def _finish(subject: Subject, week: Week, end: int) -> None:
    last = (end - 10) // 10 * 10
    fine = week[Sample10s]
    hour = [fine[(last - 60 * minute) % WEEK // 10] for minute in range(60)]
    subject.latest_at = last
    subject.latest = fine[last % WEEK // 10]
    subject.recent = pack([unpack(row)[0] for row in reversed(hour)])
    subject.rolled_to = (end - 60) // Sample5m.STEP * Sample5m.STEP


def _week(kind: str, chance: random.Random) -> Week:
    """One week of rows in every tier. The finest repeats one day; the others have seven."""
    tops = [_top(name) for name in LAYOUTS[kind]]
    gauges = [name.split("_")[0] in _GAUGES for name in LAYOUTS[kind]]
    peak = chance.uniform(10, 20)
    day = [_row(tops, gauges, second / 3600, peak, chance) for second in range(0, DAY, 10)]
    five = [roll(day[first : first + 30], 1) for first in range(0, len(day), 30)]
    fives = list(chain.from_iterable(_scaled(five, gauges, chance) for _ in range(7)))
    hours = [roll(fives[first : first + 12], 3) for first in range(0, len(fives), 12)]
    days = [roll(hours[first : first + 24], 3) for first in range(0, len(hours), 24)]
    return dict(zip(TIERS, (day * 7, fives, hours, days), strict=True))


def _top(name: str) -> float:
    for word, top in _TOPS.items():
        if word in name:
            return top
    return _MEMORY if name.split("_")[0] in _GAUGES else _RATE


def _row(
    tops: list[float], gauges: list[bool], hour: float, peak: float, chance: random.Random
) -> bytes:
    busy = 0.15 + 0.35 * (1 + math.cos((hour - peak) / 12 * math.pi))
    burst = 1.0 if chance.random() < 0.02 else 0.0
    return pack(
        top * (0.6 + 0.1 * busy if gauge else min(1.0, busy * chance.random() + burst))
        for top, gauge in zip(tops, gauges, strict=True)
    )


def _scaled(rows: list[bytes], gauges: list[bool], chance: random.Random) -> list[bytes]:
    """Another day like this one: each rate a little more or less. Gauges stay as they are."""
    factors = [1.0 if gauge else chance.uniform(0.5, 1.0) for gauge in gauges] * 3
    return [
        pack(value * factor for value, factor in zip(unpack(row), factors, strict=True))
        for row in rows
    ]

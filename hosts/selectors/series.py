"""What graphs show: the subjects of a VM or a host, their rows in a window, as charts."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hosts.models import TIERS, VM, Host, Subject
from hosts.rules.samples.charts import PLANS, ChartPlan
from hosts.selectors.rows import rows
from labpanel.lib.metrics import LAYOUTS
from labpanel.lib.series import POINTS, Column, Columns, Tier, Window, columns, window

LADDER = tuple(Tier(model.STEP, model.KEPT, model.BLOCKS) for model in TIERS)
_ORDER = {kind: place for place, kind in enumerate(PLANS)}


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """`low` and `high` are empty where no band is drawn."""

    label: str
    values: Column
    low: Column = ()
    high: Column = ()


@dataclass(frozen=True, slots=True)
class Chart:
    id: str
    title: str
    unit: str
    lines: tuple[SeriesLine, ...]


def look(start: int, end: int, width: int = POINTS) -> Window:
    """The window that shows the time from `start` to `end` in at most `width` points."""
    return window(LADDER, start, end, int(time.time()), width)


def series(subjects: Sequence[Subject], view: Window) -> dict[int, Columns]:
    """Columns of each subject that has rows in the window, by primary key. One query."""
    tier = LADDER[view.tier]
    found = rows(TIERS[view.tier], [subject.pk for subject in subjects], view.start, view.end)
    return {
        subject.pk: columns(
            found[subject.pk], view, tier, len(LAYOUTS[subject.kind]), _bands(subject.kind)
        )
        for subject in subjects
        if found[subject.pk]
    }


def _bands(kind: str) -> set[int]:
    return {place for plan in PLANS[kind] if plan.band for place in plan.places(kind)}


def vm_charts(vm: VM, view: Window) -> list[Chart]:
    return _charts(Subject.objects.filter(vm=vm), view)


def host_charts(host: Host, view: Window) -> list[Chart]:
    return _charts(Subject.objects.filter(host=host), view)


def _charts(own: Iterable[Subject], view: Window) -> list[Chart]:
    """A subject without any row in the window (a disk of last year) gets no chart."""
    subjects = sorted(own, key=lambda subject: (_ORDER[subject.kind], subject.name))
    found = series(subjects, view)
    return [
        _chart(subject, plan, found[subject.pk])
        for subject in subjects
        if subject.pk in found
        for plan in PLANS[subject.kind]
    ]


def _chart(subject: Subject, plan: ChartPlan, data: Columns) -> Chart:
    lines = []
    for (_, label), place in zip(plan.lines, plan.places(subject.kind), strict=True):
        band = plan.band and data.low
        low, high = (data.low[place], data.high[place]) if band else ((), ())
        lines.append(SeriesLine(label, data.mean[place], low, high))
    # What was never measured (no balloon driver, no steal) is left out, unless it is all there is.
    known = [line for line in lines if not all(map(math.isnan, line.values))]
    name = "-".join(part for part in (subject.kind, subject.name, plan.part) if part)
    title = plan.title.format(name=subject.name)
    return Chart(name, title, plan.unit, tuple(known or lines[:1]))

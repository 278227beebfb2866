"""All that is known of one store: room and how it goes, speed, what it keeps and for whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from django.db.models import Count, Max, Min, Q, Sum
from django.utils import timezone

from backups.models import Generation, Store
from backups.rules.copies.growth import LEAST_DAYS, DaysLeft, Growth, days_left, growth
from backups.rules.coverage.exposure import Speed
from backups.selectors.copies.doubtful import Doubtful, DoubtfulJson, doubtful
from backups.selectors.stores.speeds import speeds_of
from backups.selectors.stores.stores import StoreJson, StoreRow, store_row
from labpanel.jobs.models import Job
from labpanel.jobs.states import State
from labpanel.lib.durations import DAY, span
from labpanel.lib.units import count, size

# A line through more than a quarter of a year would hide what changed last month.
GROWTH_DAYS = 90
SHOWN = 60
PRUNINGS = 50


class GrowthJson(TypedDict):
    """How fast the store fills; null is not known. `sure` says how sure `days_left` is."""

    days: int
    bytes_per_day: int | None
    days_left: int | None
    sure: str | None


class SpeedJson(TypedDict):
    measured_from: str
    times: int
    bytes_per_second: int


class KeptVMJson(TypedDict):
    """What a store keeps of a VM."""

    vm: str
    vm_uuid: str
    generations: int
    bytes: int
    newest: str
    never_read_back: int
    damaged: int
    read_back_since: str | None


class StorePageJson(StoreJson):
    """A store with what it keeps; `strangers` are files in it that are not the panel's."""

    kept_bytes: int
    growth: GrowthJson
    speeds: list[SpeedJson]
    strangers: list[str]
    doubtful: list[DoubtfulJson]
    vms: list[KeptVMJson]


@dataclass(frozen=True, slots=True)
class KeptVM:
    """What a store keeps of one VM; `read_at` is when the generation that waits longest was read
    back (None: some never was, or nothing is kept that could be)."""

    name: str
    uuid: UUID
    is_known: bool
    generations: int
    bytes: int
    newest: datetime
    unread: int
    damaged: int
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class StorePage:
    row: StoreRow
    where: str
    growth: Growth
    left: DaysLeft | None
    kept_bytes: int
    speeds: list[Speed]
    vms: list[KeptVM]
    generations: Sequence[Generation]
    more: int
    strangers: list[str]
    unfinished: list[Job]
    doubtful: list[Doubtful]

    @property
    def growth_words(self) -> str:
        """How fast it fills and when it is full, as a sentence."""
        found, left = self.growth, self.left
        if found.bytes_per_day is None:
            return f"How fast it fills is known after {LEAST_DAYS} days; there are {found.days}."
        if left is None:
            return f"It did not grow measurably in {count(found.days, 'day')}."
        full = span(left.days * DAY)
        how = f" ({left.sure}, at least {span(left.least * DAY)})" if left.sure != "sure" else ""
        return f"It grows by {size(found.bytes_per_day)} a day and is full in about {full}{how}."

    def as_json(self) -> StorePageJson:
        left = self.left
        return {
            **self.row.as_json(),
            "kept_bytes": self.kept_bytes,
            "growth": {
                "days": self.growth.days,
                "bytes_per_day": _whole(self.growth.bytes_per_day),
                "days_left": None if left is None else round(left.days),
                "sure": left.sure if left else None,
            },
            "speeds": [
                {
                    "measured_from": speed.source,
                    "times": speed.times,
                    "bytes_per_second": round(speed.bytes_per_second),
                }
                for speed in self.speeds
            ],
            "strangers": self.strangers,
            "doubtful": [each.as_json() for each in self.doubtful],
            "vms": [_vm_json(vm) for vm in self.vms],
        }


def store_page(store: Store, now: datetime) -> StorePage:
    """A constant number of queries."""
    there = store.generations.exclude(state=Generation.State.MISSING)
    row, vms = store_row(store), _vms(there)
    since = timezone.localdate(now) - timedelta(days=GROWTH_DAYS)
    days = store.readings.filter(day__gte=since)
    found = growth([(each.day, each.size_bytes - each.available_bytes) for each in days])
    listed = there.annotate(bytes=Sum("disks__written_bytes")).defer("manifest")
    return StorePage(
        row=row,
        where=store.where,
        growth=found,
        left=days_left(found, store.available_bytes),
        kept_bytes=sum(vm.bytes for vm in vms),
        speeds=speeds_of(store.name),
        vms=vms,
        generations=list(listed.select_related("vm").prefetch_related("disks")[:SHOWN]),
        more=max(0, sum(vm.generations for vm in vms) - SHOWN),
        strangers=list(store.strangers),
        unfinished=_unfinished(store),
        doubtful=doubtful(now, store),
    )


def _unfinished(store: Store) -> list[Job]:
    """Of each VM the last pruning here, where it broke off: its journal lies in the store until a
    later one takes it up again."""
    jobs = Job.objects.filter(kind="prune", parameters__store=store.pk).exclude(ended_at=None)
    newest = jobs.defer("result", "state_data", "detail").order_by("-pk")[:PRUNINGS]
    last: dict[str, Job] = {}
    for job in newest:
        last.setdefault(job.parameters.get("vm_uuid", ""), job)
    return [job for job in last.values() if job.state not in {State.DONE, State.CANCELLED}]


def _vms(there: Any) -> list[KeptVM]:
    """Most bytes first. Names are those of the newest generation of each VM."""
    bytes_of = dict(
        there.order_by().values_list("vm_uuid").annotate(total=Sum("disks__written_bytes"))
    )
    grouped = (
        there.order_by()
        .values("vm_uuid")
        .annotate(
            name=Max("vm_name"),
            known=Max("vm"),
            generations=Count("pk"),
            newest=Max("taken_at"),
            unread=Count("pk", filter=Q(verified_at=None)),
            damaged=Count("pk", filter=Q(state=Generation.State.DAMAGED)),
            read_at=Min("verified_at"),
        )
    )
    found = [
        KeptVM(
            name=each["name"],
            uuid=each["vm_uuid"],
            is_known=each["known"] is not None,
            generations=each["generations"],
            bytes=bytes_of.get(each["vm_uuid"]) or 0,
            newest=each["newest"],
            unread=each["unread"],
            damaged=each["damaged"],
            read_at=each["read_at"],
        )
        for each in grouped
    ]
    return sorted(found, key=lambda vm: (-vm.bytes, vm.name))


def _vm_json(vm: KeptVM) -> KeptVMJson:
    return {
        "vm": vm.name,
        "vm_uuid": str(vm.uuid),
        "generations": vm.generations,
        "bytes": vm.bytes,
        "newest": vm.newest.isoformat(),
        "never_read_back": vm.unread,
        "damaged": vm.damaged,
        "read_back_since": vm.read_at.isoformat() if vm.read_at else None,
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)

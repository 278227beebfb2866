"""Little room in a store is a finding, long before a backup is refused."""

from collections import defaultdict
from datetime import datetime, timedelta

from django.db.models import Sum
from django.utils import timezone

from backups.models import Generation, Store
from backups.rules.copies.growth import growth
from hosts.models import Finding, Host
from hosts.rules.health import room as rule
from hosts.services.checks import recorder
from labpanel.lib.growth import days_left
from labpanel.lib.shapes import PANEL
from labpanel.symptoms.facts.file_systems import LittleStoreRoom
from labpanel.symptoms.kinds import Kind, Level, SubjectKind
from labpanel.symptoms.symptom import Symptom, SymptomSubject

GROWTH_DAYS = 30
LATELY = timedelta(days=14)


def check_store_room(store: Store, now: datetime) -> None:
    """Weigh the last look. A store on the panel's own machine has its finding at that host, if it
    is one."""
    host = _host(store)
    if host is None or store.size_bytes is None or store.available_bytes is None:
        return
    open_one = Finding.objects.filter(
        host=host, kind=Kind.STORE_ROOM, subject=store.name, resolved_at=None
    ).exists()
    seen = rule.FreeRoom(store.size_bytes, store.available_bytes)
    judged = rule.judge(seen, _needs(store, now), was_little=open_one)
    if judged.level == "good":
        recorder.resolve(host, Kind.STORE_ROOM, [store.name], now)
    if judged.little is None:
        return
    symptom = Symptom(
        SymptomSubject(SubjectKind.STORE, store.name),
        Level(judged.level),
        LittleStoreRoom(host.name, store.name, store.path, judged.little),
        judged.evidence,
    )
    recorder.record(host, symptom, now)


def end_store_room(store: Store) -> None:
    """What was said of a store that the panel is about to forget."""
    if (host := _host(store)) is not None:
        recorder.resolve(host, Kind.STORE_ROOM, [store.name], timezone.now())


def _host(store: Store) -> Host | None:
    return store.host or Host.objects.filter(target=PANEL.target).first()


def _needs(store: Store, now: datetime) -> rule.RoomNeeds:
    """FreeRoom for the largest of the next copies, by what the last ones of each VM took."""
    lately = Generation.objects.filter(store=store, taken_at__gte=now - LATELY)
    sums = lately.values("key", "vm_name").annotate(total=Sum("disks__written_bytes"))
    took: dict[str, list[int]] = defaultdict(list)
    for row in sums.order_by("-taken_at"):
        took[row["vm_name"]].append(row["total"] or 0)
    # A first copy holds everything; of two the smaller is more like the next.
    wants = {name: min(sizes[:2]) if len(sizes) > 1 else 0 for name, sizes in took.items()}
    largest = max(wants, key=lambda name: wants[name], default="")
    since = timezone.localdate(now) - timedelta(days=GROWTH_DAYS)
    days = store.readings.filter(day__gte=since)
    found = growth([(each.day, each.size_bytes - each.available_bytes) for each in days])
    return rule.RoomNeeds(
        backup=wants.get(largest, 0),
        whose=largest,
        left=days_left(found, store.available_bytes),
    )

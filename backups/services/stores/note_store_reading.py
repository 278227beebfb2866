"""Write down how full a store is, one row a day: the latest look of the day stays."""

from django.db.models import Sum
from django.utils import timezone

from backups.models import Generation, GenerationDisk, Store, StoreReading


def note_store_reading(store: Store, size_bytes: int, available_bytes: int) -> None:
    kept = GenerationDisk.objects.filter(generation__store=store)
    there = kept.exclude(generation__state=Generation.State.MISSING)
    StoreReading.objects.update_or_create(
        store=store,
        day=timezone.localdate(),
        defaults={
            "size_bytes": size_bytes,
            "available_bytes": available_bytes,
            "kept_bytes": there.aggregate(total=Sum("written_bytes"))["total"] or 0,
        },
    )

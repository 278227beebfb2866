"""What has to be read from a store to get a disk of a generation back."""

from collections.abc import Collection
from uuid import UUID

from backups.models import Generation, GenerationDisk
from backups.rules.backup.chains import chain_of

Stored = dict[tuple[str, str], int]
_Line = tuple[object, UUID, str]


def stored_bytes(keys: Collection[str]) -> Stored:
    """By generation and target: the bytes of the disk's file and of all that it backs on, as they
    lie in the store. Two queries, whose rows hold four small values."""
    asked = list(
        Generation.objects.filter(key__in=keys).values_list("key", "store", "vm_uuid").distinct()
    )
    rows = GenerationDisk.objects.filter(
        generation__vm_uuid__in={vm for _, _, vm in asked},
        generation__store__in={store for _, store, _ in asked},
    ).order_by()
    parents: dict[_Line, dict[str, str]] = {}
    sizes: dict[tuple[str, str], int] = {}
    for store, vm, key, target, parent, size in rows.values_list(
        "generation__store",
        "generation__vm_uuid",
        "generation__key",
        "target",
        "parent",
        "written_bytes",
    ):
        parents.setdefault((store, vm, target), {})[key] = parent
        sizes[key, target] = size
    places = {key: (store, vm) for key, store, vm in asked}
    return {
        (key, target): size + _below(key, target, parents[(*places[key], target)], sizes)
        for (key, target), size in sizes.items()
        if key in places
    }


def _below(
    key: str, target: str, parents: dict[str, str], sizes: dict[tuple[str, str], int]
) -> int:
    return sum(sizes.get((below, target), 0) for below in chain_of(key, parents))

"""The copies of virtual disks from which coverage judges and policies see what is new."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType

from django.db.models import (
    BooleanField,
    Case,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    Value,
    When,
    Window,
)
from django.db.models.functions import RowNumber

from backups.models import Generation, GenerationDisk, Rehearsal
from backups.rules.copies.trust import AHEAD, DISTRUSTED
from backups.selectors.coverage.same_disk import Held

Place = tuple[uuid.UUID, str]


def copies_kept(
    uuids: Collection[uuid.UUID] | None,
    now: datetime,
    suspect: Mapping[uuid.UUID, datetime] = MappingProxyType({}),
) -> dict[Place, list[Held]]:
    """Of these VMs, or of all: generations of each (VM, target). Of those alike in all that a
    verdict asks (image, store, state, gaps, read back or not, dated ahead or not, made since the
    VM is `suspect` or not) the newest only, and the few that were ever booted. A year of nightly
    backups would be read for one line otherwise. Of those that were read back the newest speaks
    alone: was it read back long ago and an older one lately, the verdict is stricter."""
    there = GenerationDisk.objects.exclude(generation__state=Generation.State.MISSING)
    wanted = there.exclude(generation__trust__in=DISTRUSTED)
    if uuids is not None:
        wanted = wanted.filter(generation__vm_uuid__in=uuids)
    order = F("generation__taken_at").desc()
    place = Window(RowNumber(), partition_by=[F(alike) for alike in _ALIKE], order_by=order)
    tried = Exists(Rehearsal.objects.filter(generation=OuterRef("generation")))
    first = Q(place=1) | Q(generation__rehearsed_at__isnull=False) | Q(tried)
    ahead = ExpressionWrapper(Q(generation__taken_at__gt=now + AHEAD), output_field=BooleanField())
    newest = (
        wanted.annotate(**_FLAGS, ahead=ahead, suspect=_made_since(suspect))
        .annotate(place=place)
        .filter(first)
        .order_by()
        .values("pk")
    )
    read = GenerationDisk.objects.filter(pk__in=newest).order_by()
    found: dict[Place, list[Held]] = defaultdict(list)
    for disk in read.select_related("generation__store__host").defer("generation__manifest"):
        found[(disk.generation.vm_uuid, disk.target)].append((disk.generation, disk))
    return found


def _made_since(suspect: Mapping[uuid.UUID, datetime]) -> Case:
    cases = (
        When(generation__vm_uuid=vm, generation__taken_at__gt=since, then=Value(True))
        for vm, since in suspect.items()
    )
    return Case(*cases, default=Value(False), output_field=BooleanField())


_FLAGS = {
    "whole": Case(When(unreadable=[], then=True), default=False, output_field=BooleanField()),
    "read": ExpressionWrapper(Q(generation__verified_at=None), output_field=BooleanField()),
}
_GENERATION = ("vm_uuid", "source_host", "store", "state")
_ALIKE = (
    "target",
    *("source", "chain", "inode", "former", "replaced"),
    "whole",
    "read",
    "ahead",
    "suspect",
    *(f"generation__{name}" for name in _GENERATION),
)

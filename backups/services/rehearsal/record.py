"""Writing a rehearsal down, with its picture; older pictures of the same VM and store go."""

from dataclasses import asdict
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from backups.models import Generation, Rehearsal
from backups.rules.rehearsal.verdict import RehearsalOutcome
from hosts.models import Host
from labpanel.adapters.redis import bus
from labpanel.adapters.rehearsal import pictures

# The newest of a VM in a store, and the one before to hold it against.
KEPT_PICTURES = 2


def record(
    generation: Generation, host: Host, began: datetime, outcome: RehearsalOutcome, screen: bytes
) -> Rehearsal:
    """One row. The generation counts as rehearsed only if it passed."""
    picture, small = _pictures(screen)
    with transaction.atomic():
        now = timezone.now()
        made = Rehearsal.objects.create(
            generation=generation,
            host=host,
            began_at=began,
            ended_at=now,
            passed=bool(outcome.passed),
            sentence=outcome.sentence,
            checks=[asdict(check) for check in outcome.checks],
            screenshot=picture,
            thumbnail=small,
        )
        if outcome.passed:
            Generation.objects.filter(pk=generation.pk).update(rehearsed_at=now)
        elif outcome.passed is False:
            # It passed once and fails now: what is true is the newer.
            Generation.objects.filter(pk=generation.pk).update(rehearsed_at=None)
        _drop_pictures(generation)
    bus.publish("coverage")
    return made


def _pictures(screen: bytes) -> tuple[bytes | None, bytes | None]:
    try:
        return pictures.as_png(screen), pictures.thumbnail(screen)
    except ValueError:
        return None, None


def _drop_pictures(generation: Generation) -> None:
    same = Rehearsal.objects.filter(
        generation__vm_uuid=generation.vm_uuid, generation__store=generation.store
    )
    shown = same.exclude(screenshot=None).order_by("-began_at").values_list("pk", flat=True)
    same.exclude(pk__in=list(shown[:KEPT_PICTURES])).update(screenshot=None, thumbnail=None)

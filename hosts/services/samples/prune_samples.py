"""Forget samples that are older than their tier keeps, and those of subjects that are gone."""

from django.db import connection

from hosts.models import TIERS, Sample, Subject
from labpanel.clock.services.doubt import doubt

SLICES = 60


def prune(now: int) -> int:
    """Prune one slice of the subjects: called each minute, it comes round to each once an hour.

    Returns the number of rows deleted; none while the clock is in doubt.
    """
    if doubt():
        return 0
    turn = now // 60 % SLICES
    deleted = 0
    for subject in Subject.objects.values_list("pk", flat=True):
        if subject % SLICES != turn:
            continue
        for tier in TIERS:
            deleted += _delete(tier, subject, now - tier.KEPT)
    return deleted + (_orphans() if turn == 0 else 0)


def _orphans() -> int:
    """A sample has no foreign key (its row would be wider by an index); when a VM or a host is
    removed its subjects go, and their rows follow here."""
    deleted = 0
    for tier in TIERS:
        at = 0
        while (key := _first_key(tier, at)) is not None:
            subject = key >> 32
            if not Subject.objects.filter(pk=subject).exists():
                deleted += _delete(tier, subject, 1 << 32)
            at = Sample.key_of(subject + 1, 0)
    return deleted


def _first_key(tier: type[Sample], least: int) -> int | None:
    keys = tier._default_manager.filter(key__gte=least).order_by("key")
    return keys.values_list("key", flat=True).first()


def _delete(tier: type[Sample], subject: int, until: int) -> int:
    bounds = [Sample.key_of(subject, 0), Sample.key_of(subject, until)]
    statement = f"DELETE FROM {tier._meta.db_table} WHERE key >= %s AND key < %s"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, bounds)
        return int(cursor.rowcount)

"""How a copy is called where people read it."""

from django.utils import timezone

from backups.models import Generation
from backups.rules.restore.naming import copy_name


def called(copy: Generation) -> str:
    """ "home's copy from 05:28 (far)"."""
    return copy_name(copy.vm_name, copy.taken_at, copy.store.name, timezone.localtime())

"""What the walks over addresses and verbs share."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction


@contextmanager
def undone() -> Iterator[None]:
    """What a request changed is taken back: the next one finds the same panel."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)

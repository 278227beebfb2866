"""How often a sign-in may be tried.

Tries are counted in the database, so that neither a restart nor a second web process forgets
them. A try is written down *before* the password is looked at: many at once don't slip through.
"""

import hashlib
import logging
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from labpanel.accounts.models import SignInTry
from labpanel.accounts.services.note import known_from
from labpanel.lib.client_address import ClientAddress
from labpanel.lib.said import Said

WINDOW = timedelta(minutes=5)
# A person mistypes a few times; 5 in 5 minutes are 1 440 guesses a day for one name.
TRIES_FOR_A_NAME = 5
# A household behind one address, but not a list of names tried one after the other.
TRIES_FROM_AN_ADDRESS = 30
# All addresses together that were never signed in from: guessing from many gains little.
TRIES_OF_STRANGERS_FOR_A_NAME = 10
TRIES_OF_STRANGERS = 300
# Two threads read the clock in another order than they write. What lies further ahead was written
# before the clock was put back, and counts for nothing.
_ORDER = timedelta(seconds=10)
_one_at_a_time = threading.Lock()
log = logging.getLogger(__name__)


class TooMany(Said):
    """`until` is when the next try is allowed, at most WINDOW from now."""

    def __init__(self, until: datetime) -> None:
        self.until = until
        seconds = max(1, int((until - timezone.now()).total_seconds()))
        minutes = -(-seconds // 60)
        unit = "minute" if minutes == 1 else "minutes"
        super().__init__(
            f"Too many tries. Try again in {minutes} {unit}, "
            f"at {timezone.localtime(until):%H:%M:%S}."
        )


@dataclass(frozen=True, slots=True)
class Try:
    """A try that was written down; `stranger`: no sign-in with this name from there yet."""

    pk: int
    address: ClientAddress
    name: str
    stranger: bool


def begin(address: ClientAddress, name: str) -> Try:
    """Write a try down. Raises TooMany when there were too many within WINDOW."""
    stranger = not known_from(name, address)
    digest = _digest(name)
    with _one_at_a_time, transaction.atomic():
        now = timezone.now()
        counting = SignInTry.objects.filter(at__gt=now - WINDOW, at__lte=now + _ORDER)
        SignInTry.objects.exclude(pk__in=counting.values("pk")).delete()
        from_there = counting.filter(address=address.group)
        looks = [
            (from_there, TRIES_FROM_AN_ADDRESS),
            (from_there.filter(name_hash=digest), TRIES_FOR_A_NAME),
        ]
        if stranger:
            strangers = counting.filter(stranger=True)
            looks += [
                (strangers.filter(name_hash=digest), TRIES_OF_STRANGERS_FOR_A_NAME),
                (strangers, TRIES_OF_STRANGERS),
            ]
        for tries, allowed in looks:
            _look(tries, allowed, now, address)
        row = SignInTry.objects.create(
            address=address.group, name_hash=digest, stranger=stranger, at=now
        )
    return Try(row.pk, address, name, stranger)


def succeeded(this: Try) -> None:
    """Forget the tries of this address and name: also the owner mistypes a password."""
    SignInTry.objects.filter(address=this.address.group, name_hash=_digest(this.name)).delete()


def not_looked_at(this: Try) -> None:
    """The password was not compared: the try tells its sender nothing and counts for nothing."""
    SignInTry.objects.filter(pk=this.pk).delete()


def forget(name: str) -> None:
    """Of a name whose password is new: guesses at the old one no longer matter."""
    SignInTry.objects.filter(name_hash=_digest(name)).delete()


def _look(tries: QuerySet[SignInTry], allowed: int, now: datetime, address: ClientAddress) -> None:
    times = list(tries.order_by("-at").values_list("at", flat=True)[:allowed])
    if len(times) >= allowed:
        raise TooMany(min(times[-1], now) + WINDOW)
    if len(times) == allowed - 1:
        log.warning("sign-in: after this try from %s the next must wait", address)


def _digest(name: str) -> str:
    return hashlib.sha256(name.strip().casefold().encode()).hexdigest()

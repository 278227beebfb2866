"""How often a sign-in may be tried.

Tries are counted in the database, so that neither a restart nor a second web process forgets
them. A try is written down *before* the password is looked at: many at once don't slip through.
"""

import hashlib
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from labpanel.accounts.models import SignInTry

WINDOW = timedelta(minutes=5)
# A person mistypes a few times; 5 in 5 minutes are 1 440 guesses a day for one name.
TRIES_FOR_A_NAME = 5
# A household behind one address, but not a list of names tried one after the other.
TRIES_FROM_AN_ADDRESS = 30


class TooMany(Exception):
    """`until` is when the next try is allowed."""

    def __init__(self, until: datetime) -> None:
        super().__init__(until.isoformat())
        self.until = until
        seconds = max(1, int((until - timezone.now()).total_seconds()))
        minutes = -(-seconds // 60)
        unit = "minute" if minutes == 1 else "minutes"
        self.sentence = (
            f"Too many tries. Try again in {minutes} {unit}, "
            f"at {timezone.localtime(until):%H:%M:%S}."
        )


def begin(address: str, name: str) -> SignInTry:
    """Write a try down. Raises TooMany when there were too many within WINDOW."""
    now = timezone.now()
    digest = hashlib.sha256(name.strip().casefold().encode()).hexdigest()
    with transaction.atomic():
        SignInTry.objects.filter(at__lte=now - WINDOW).delete()
        tries = list(SignInTry.objects.filter(address=address).order_by("at"))
        _look(tries, TRIES_FROM_AN_ADDRESS)
        _look([each for each in tries if each.name_hash == digest], TRIES_FOR_A_NAME)
        return SignInTry.objects.create(address=address, name_hash=digest, at=now)


def succeeded(this: SignInTry) -> None:
    """Forget the tries of this address and name: whoever knows the password may mistype it."""
    SignInTry.objects.filter(address=this.address, name_hash=this.name_hash).delete()


def _look(tries: list[SignInTry], allowed: int) -> None:
    if len(tries) >= allowed:
        raise TooMany(tries[-allowed].at + WINDOW)

"""settings.SESSION_ENGINE: sessions whose keys are not in the database, only their digests.

A key has 32 characters of 36 (165 bits), so its SHA-256 needs no salt and no slow hash.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import (
    VALID_KEY_CHARS,
    CreateError,
    SessionBase,
    UpdateError,
)
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.crypto import get_random_string

from labpanel.accounts.models import Session

# A browser that was not seen for so long signs in again; settings.SESSION_COOKIE_AGE ends all.
IDLE = timedelta(days=14)
_KEY_LENGTH = 32


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def living() -> QuerySet[Session]:
    """Sessions that still open something."""
    now = timezone.now()
    allowed = Q(user=None) | Q(user__is_active=True)
    return Session.objects.filter(allowed, expires_at__gt=now, seen_at__gt=now - IDLE)


class SessionStore(SessionBase):
    """`seen_at` is when the session was last written down as seen, None before it was loaded."""

    seen_at: datetime | None = None

    def load(self) -> dict[str, Any]:
        key = self.session_key or ""
        row = living().filter(key_hash=digest(key)).first()
        if row is None:
            self._session_key = None
            return {}
        self.seen_at = row.seen_at
        return self.decode(row.data)

    def exists(self, session_key: str) -> bool:
        """Whether the session still opens something."""
        return living().filter(key_hash=digest(session_key)).exists()

    def create(self) -> None:
        while True:
            self._session_key = get_random_string(_KEY_LENGTH, VALID_KEY_CHARS)
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's own
        """Raises UpdateError for a session that was ended meanwhile: it is not made anew."""
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        kept = {"data": self.encode(data), "user_id": data.get(SESSION_KEY)}
        if not must_create:
            if not living().filter(key_hash=digest(self.session_key)).update(**kept):
                raise UpdateError
            return
        now = timezone.now()
        self.seen_at = now
        times = {"created_at": now, "seen_at": now, "expires_at": self.get_expiry_date()}
        try:
            with transaction.atomic():
                Session.objects.create(key_hash=digest(self.session_key), **kept, **times)
        except IntegrityError as error:
            raise CreateError from error

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            Session.objects.filter(key_hash=digest(key)).delete()

    @classmethod
    def clear_expired(cls) -> None:
        now = timezone.now()
        Session.objects.filter(Q(expires_at__lte=now) | Q(seen_at__lte=now - IDLE)).delete()

"""Sessions and events of accounts, for the page and the command line."""

from dataclasses import asdict, dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from labpanel.accounts.models import AccountEvent, Session
from labpanel.accounts.session_store import digest, living

SHOWN_EVENTS = 12


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One browser; `here` is the one that asks. Times are aware; none lies after now."""

    number: int
    user: str
    browser: str
    address: str
    seen_at: datetime
    created_at: datetime
    here: bool

    def as_json(self) -> dict[str, object]:
        times = {"seen_at": self.seen_at.isoformat(), "created_at": self.created_at.isoformat()}
        return {**asdict(self), **times}


@dataclass(frozen=True, slots=True)
class EventRow:
    what: str
    where: str
    at: datetime


def sessions_of(user: User | None, key: str | None = None) -> list[SessionRow]:
    """Sessions of `user`, or of everybody; the one with the key `key` first, then the newest."""
    found = living().exclude(user=None).select_related("user")
    if user is not None:
        found = found.filter(user=user)
    here = digest(key) if key else ""
    rows = [_row(each, here) for each in found.order_by("-seen_at")]
    return sorted(rows, key=lambda row: not row.here)


def events_of(user: User) -> list[EventRow]:
    """What happened with the account, the newest first."""
    found = AccountEvent.objects.filter(user=user).order_by("-pk")[:SHOWN_EVENTS]
    return [
        EventRow(
            AccountEvent.Kind(each.kind).label.capitalize(),
            each.address or "the command line",
            each.at,
        )
        for each in found
    ]


def _row(session: Session, here: str) -> SessionRow:
    now = timezone.now()
    return SessionRow(
        number=session.pk,
        user=str(session.user),
        browser=session.browser or "a browser",
        address=session.address or "unknown",
        seen_at=min(session.seen_at, now),
        created_at=min(session.created_at, now),
        here=session.key_hash == here,
    )

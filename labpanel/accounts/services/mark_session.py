"""Write down where a session is used from."""

from django.http import HttpRequest
from django.utils import timezone

from labpanel.accounts.browsers import browser
from labpanel.accounts.models import Session
from labpanel.accounts.session_store import digest
from labpanel.door.asked_from import asked_from


def seen(request: HttpRequest, key: str) -> None:
    """The session of this key was used by this request."""
    Session.objects.filter(key_hash=digest(key)).update(
        seen_at=timezone.now(),
        address=str(asked_from(request)),
        browser=browser(request.headers.get("User-Agent", "")),
    )

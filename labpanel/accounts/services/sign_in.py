"""Open a session for who has proven to be that account."""

from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest

from labpanel.accounts.models import AccountEvent
from labpanel.accounts.services import mark_session
from labpanel.accounts.services.note import note
from labpanel.accounts.session_store import SessionStore
from labpanel.door.asked_from import asked_from


def sign_in(request: HttpRequest, user: User) -> None:
    """The session gets a key that was not known before (OWASP: session fixation)."""
    SessionStore.clear_expired()
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    if request.session.session_key:
        mark_session.seen(request, request.session.session_key)
    note(user, AccountEvent.Kind.SIGNED_IN, asked_from(request))

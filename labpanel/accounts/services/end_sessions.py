"""End sessions: one, or all of an account but the one that asks."""

from django.contrib.auth.models import User

from labpanel.accounts.models import AccountEvent, Session
from labpanel.accounts.services.note import note
from labpanel.accounts.session_store import SessionStore, digest
from labpanel.lib.client_address import ClientAddress
from labpanel.lib.refusal import Refusal

NOT_FOUND = 404


def end_one(user: User, number: int, address: ClientAddress | None) -> None:
    """End the session with this number. Raises Refusal (404) where `user` has none of it."""
    ended, _ = Session.objects.filter(user=user, pk=number).delete()
    if not ended:
        raise Refusal("This session has ended already.", NOT_FOUND)
    note(user, AccountEvent.Kind.ENDED, address)


def end_all(user: User, address: ClientAddress | None, *, but: str | None = None) -> int:
    """End all sessions of `user`, but the one with the key `but`; returns how many ended.

    A stream of events that belongs to one of them ends within its heartbeat.
    """
    SessionStore.clear_expired()
    others = Session.objects.filter(user=user)
    if but is not None:
        others = others.exclude(key_hash=digest(but))
    ended, _ = others.delete()
    if ended:
        note(user, AccountEvent.Kind.ENDED, address)
    return ended

"""Give an account a new password: whatever the old one opened ends."""

from collections.abc import Callable

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from labpanel.accounts.models import AccountEvent, FirstLink
from labpanel.accounts.services import limit
from labpanel.accounts.services.end_sessions import end_all
from labpanel.accounts.services.hashing import hashing
from labpanel.accounts.services.note import note
from labpanel.lib.client_address import ClientAddress
from labpanel.lib.refusal import Refusal


def set_password(
    user: User,
    password: str,
    address: ClientAddress | None,
    *,
    but: str | None = None,
    spend: Callable[[], None] | None = None,
) -> int:
    """Returns how many sessions ended with it; the one with the key `but` stays.

    `address` is None on the command line. `spend` is done together with it or not at all. Raises
    Refusal with what is wrong with the password, and what `spend` raises.
    """
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Refusal(" ".join(error.messages)) from error
    with hashing.place():
        user.set_password(password)
    with transaction.atomic():
        if spend is not None:
            spend()
        user.save(update_fields=["password"])
        FirstLink.objects.filter(user=user, used_at=None).delete()
        limit.forget(user.get_username())
        ended = end_all(user, address, but=but)
        note(user, AccountEvent.Kind.PASSWORD, address)
    return ended

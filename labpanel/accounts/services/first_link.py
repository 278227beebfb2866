"""One-time links: for the first account, and for a new password of one that is locked out."""

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from labpanel import env
from labpanel.accounts.models import AccountEvent, FirstLink
from labpanel.accounts.services.find_account import find_account
from labpanel.accounts.services.note import note
from labpanel.accounts.services.set_password import set_password
from labpanel.lib.client_address import ClientAddress
from labpanel.lib.refusal import Refusal
from labpanel.supervise import listen
from labpanel.supervise.claim import Claim

VALID_HOURS = 24
NOT_FOUND, GONE = 404, 410  # statuses of HTTP
ASK_AGAIN = "Run `./panel first-link` on the panel's machine and open the link that it prints."
ASK_FOR = "Run `./panel first-link --for NAME` on the panel's machine and open the new link."


def link() -> str | None:
    """A fresh link; earlier unused ones end. None once an account can sign in."""
    if get_user_model().objects.exists():
        return None
    return _made(None)


def link_for(name: str) -> str:
    """A fresh link that sets a new password for the account of this name.

    Raises Refusal where there is none, or it is switched off. The password stays as it is until
    the link is used.
    """
    user = find_account(name)
    if not user.is_active:
        raise Refusal(f"The account {user} is switched off.")
    address = _made(user)
    note(user, AccountEvent.Kind.LINK, None)
    return address


def find(token: str) -> FirstLink:
    """The link that `token` opens. Raises Refusal with status 404 (unknown) or 410 (over)."""
    found = FirstLink.objects.select_related("user").filter(token_hash=_digest(token)).first()
    exists = get_user_model().objects.exists()
    if exists and (found is None or found.user is None):
        raise Refusal("The first account exists already: sign in with it.", GONE)
    again = ASK_FOR if exists else ASK_AGAIN
    if found is None:
        raise Refusal(f"This link is not known, or a newer one took its place. {again}", NOT_FOUND)
    if found.used_at is not None:
        raise Refusal(f"This link was used. {again}", GONE)
    if found.expires_at <= timezone.now():
        raise Refusal(f"This link is older than {VALID_HOURS} hours. {again}", GONE)
    if found.user is not None and not found.user.is_active:
        raise Refusal("The account of this link is switched off.", GONE)
    return found


def use(token: str, user: User) -> User:
    """Spend the link on `user`, who is saved as the admin. Raises Refusal as `find` does."""
    with transaction.atomic():
        found = find(token)
        if found.user is not None:
            raise Refusal("This link sets a password and makes no account.", GONE)
        _spend(found)
        user.is_staff = user.is_superuser = True
        user.save()
    return user


def use_for_password(token: str, password: str, address: ClientAddress) -> User:
    """Spend the link on a new password. Raises Refusal as `find` and `set_password` do."""
    found = find(token)
    if found.user is None:
        raise Refusal("This link makes the first account and sets no password.", GONE)
    set_password(found.user, password, address, spend=lambda: _spend(find(token)))
    return found.user


def public_url() -> str:
    """Where people reach the panel, without a slash at the end."""
    if settings.PUBLIC_URL:
        return str(settings.PUBLIC_URL).rstrip("/")
    holder = Claim(env.home()).holder()
    if holder is not None:
        return holder.url
    return listen.parse(env.text("LABPANEL_LISTEN")).public


def _made(user: User | None) -> str:
    token = secrets.token_urlsafe(24)
    now = timezone.now()
    with transaction.atomic():
        FirstLink.objects.filter(used_at=None, user=user).delete()
        FirstLink.objects.create(
            token_hash=_digest(token),
            user=user,
            created_at=now,
            expires_at=now + timedelta(hours=VALID_HOURS),
        )
    return public_url() + reverse("first-sign-in", args=[token])


def _spend(found: FirstLink) -> None:
    """A conditional update: of two browsers with one link, one wins. Raises Refusal."""
    spent = FirstLink.objects.filter(pk=found.pk, used_at=None).update(used_at=timezone.now())
    if not spent:
        raise Refusal(f"This link was used. {ASK_AGAIN}", GONE)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

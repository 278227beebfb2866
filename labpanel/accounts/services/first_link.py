"""The one-time link that makes the first account."""

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
from labpanel.accounts.models import FirstLink
from labpanel.lib.refusal import Refusal
from labpanel.supervise import listen
from labpanel.supervise.claim import Claim

VALID_HOURS = 24
NOT_FOUND, GONE = 404, 410  # statuses of HTTP
ASK_AGAIN = "Run `./panel first-link` on the panel's machine and open the link that it prints."


def link() -> str | None:
    """A fresh link; earlier unused ones end. None once somebody can sign in."""
    if get_user_model().objects.exists():
        return None
    token = secrets.token_urlsafe(24)
    now = timezone.now()
    with transaction.atomic():
        FirstLink.objects.filter(used_at=None).delete()
        FirstLink.objects.create(
            token_hash=_digest(token),
            created_at=now,
            expires_at=now + timedelta(hours=VALID_HOURS),
        )
    return public_url() + reverse("first-sign-in", args=[token])


def find(token: str) -> FirstLink:
    """The link that `token` opens. Raises Refusal with status 404 (unknown) or 410 (over)."""
    found = FirstLink.objects.filter(token_hash=_digest(token)).first()
    if get_user_model().objects.exists():
        raise Refusal("The first account exists already: sign in with it.", GONE)
    if found is None:
        raise Refusal(
            f"This link is not known, or a newer one took its place. {ASK_AGAIN}", NOT_FOUND
        )
    if found.used_at is not None:
        raise Refusal(f"This link was used. {ASK_AGAIN}", GONE)
    if found.expires_at <= timezone.now():
        raise Refusal(f"This link is older than {VALID_HOURS} hours. {ASK_AGAIN}", GONE)
    return found


def use(token: str, user: User) -> User:
    """Spend the link on `user`, who is saved as the admin. Raises Refusal as `find` does.

    Spending is a conditional update: of two browsers with one link, one wins.
    """
    with transaction.atomic():
        found = find(token)
        spent = FirstLink.objects.filter(pk=found.pk, used_at=None).update(used_at=timezone.now())
        if not spent:
            raise Refusal(f"This link was used. {ASK_AGAIN}", GONE)
        user.is_staff = user.is_superuser = True
        user.save()
    return user


def public_url() -> str:
    """Where people reach the panel, without a slash at the end."""
    if settings.PUBLIC_URL:
        return str(settings.PUBLIC_URL).rstrip("/")
    holder = Claim(env.home()).holder()
    if holder is not None:
        return holder.url
    return listen.parse(env.text("LABPANEL_LISTEN")).url


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

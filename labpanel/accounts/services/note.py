"""Note what happened with an account: for its owner on the page, for the operator in the log."""

import logging

from django.contrib.auth.models import User
from django.utils import timezone

from labpanel import env
from labpanel.accounts.models import AccountEvent
from labpanel.lib.client_address import ClientAddress, parse
from labpanel.supervise import logs

KEPT = 200  # events of one account
COMMAND_LINE = ""
log = logging.getLogger(__name__)


def note(user: User, kind: AccountEvent.Kind, address: ClientAddress | None) -> None:
    """`address` is None for what was done on the panel's own command line."""
    where = str(address) if address is not None else COMMAND_LINE
    AccountEvent.objects.create(user=user, kind=kind, at=timezone.now(), address=where)
    old = AccountEvent.objects.filter(user=user).order_by("-pk").values_list("pk", flat=True)[KEPT:]
    AccountEvent.objects.filter(pk__in=list(old)).delete()
    if address is not None:
        log.warning("account %s: %s, from %s", user, kind.label, where)
    else:  # this process prints for a person; the log is another's
        logs.add(env.home() / "log", f"account {user}: {kind.label}, from the command line")


def wrong_password(address: ClientAddress) -> None:
    """Without the name that was typed: now and then it is a password in the wrong field."""
    log.warning("sign-in: a wrong name or password, from %s", address)


def known_from(name: str, address: ClientAddress) -> bool:
    """Whether the account of this name was signed in to from there before."""
    earlier = AccountEvent.objects.filter(
        user__username__iexact=name, kind=AccountEvent.Kind.SIGNED_IN
    )
    addresses = earlier.values_list("address", flat=True).distinct()
    return any(parse(each).group == address.group for each in addresses)

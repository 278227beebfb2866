"""The account that is meant by a name on the command line."""

from django.contrib.auth.models import User

from labpanel.lib.refusal import Refusal


def find_account(name: str) -> User:
    """Raises Refusal, which says what there is instead."""
    found = User.objects.filter(username=name).first()
    if found is not None:
        return found
    names = list(User.objects.order_by("username").values_list("username", flat=True)[:10])
    if not names:
        raise Refusal("There is no account yet: `./panel first-link` leads to the first one.")
    raise Refusal(f"There is no account {name!r}; there is {', '.join(names)}.")

"""Where a request comes from, for those behind the door."""

from django.http import HttpRequest

from labpanel.lib.client_address import ClientAddress, parse


def asked_from(request: HttpRequest) -> ClientAddress:
    """The client's address. labpanel.door.guard has put it there: no header is read here."""
    return parse(str(request.META.get("REMOTE_ADDR", "")))

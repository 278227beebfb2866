"""The API's view of what would be lost, and of one store."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from backups.selectors.exposure import exposure
from hosts.selectors.naming import find_host
from labpanel.api import json_view


@json_view("GET")
def read_exposure(request: HttpRequest) -> list[dict[str, Any]]:
    """`?host=` narrows it to one host."""
    word = request.GET.get("host")
    deaths = exposure(timezone.now(), find_host(word) if word else None)
    return [death.as_json() for death in deaths]

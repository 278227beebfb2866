"""The API's view of what would be lost, and of one store."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from backups.selectors.exposure import exposure
from backups.selectors.store_page import store_page
from backups.selectors.stores import find_store
from hosts.selectors.naming import find_host
from labpanel.api import json_view


@json_view("GET")
def read_exposure(request: HttpRequest) -> list[dict[str, Any]]:
    """`?host=` narrows it to one host."""
    word = request.GET.get("host")
    deaths = exposure(timezone.now(), find_host(word) if word else None)
    return [death.as_json() for death in deaths]


@json_view("GET")
def read_store(_: HttpRequest, name: str) -> dict[str, Any]:
    return store_page(find_store(name), timezone.now()).as_json()

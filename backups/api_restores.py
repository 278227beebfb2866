"""The API's way back: restores, and VMs that still run on blocks of a generation."""

from typing import Any

from django.http import HttpRequest

from backups.selectors.generations import find_generation
from backups.selectors.instants import instant_list
from backups.services.ask_restore import Wish, ask_for_restore
from hosts.selectors.naming import find_host
from labpanel.api import Optional, json_view, parse_body
from labpanel.lib.refusal import Refusal

_FIELDS = {
    "to": Optional(str),
    "name": Optional(str, ""),
    "path": Optional(str, ""),
    "start": Optional(bool, default=False),
    "in_place": Optional(bool, default=False),
    "shut_down": Optional(bool, default=False),
    "instant": Optional(bool, default=False),
    "disks": Optional(dict),
    "only": Optional(bool, default=False),
    "definition": Optional(str),
    "bytes_per_second": Optional(int, 0),
}


@json_view("POST")
def create_restore(request: HttpRequest, key: str) -> tuple[Any, int]:
    """`{"to", "name", "path", "start", "in_place", "shut_down", "instant", "disks": {target:
    generation}, "only", "definition", "bytes_per_second"}` → `{"job"}`; `to` is needed unless in
    place."""
    asked = parse_body(request, _FIELDS)
    to, definition, disks = asked.pop("to"), asked.pop("definition"), asked.pop("disks") or {}
    if not all(isinstance(word, str) and word for word in disks.values()):
        raise Refusal("The field 'disks' gives each disk the name of a generation.")
    wish = Wish(
        **asked,
        disks={target: find_generation(word) for target, word in disks.items()},
        definition=find_generation(definition) if definition else None,
    )
    host = find_host(to) if to else None
    who = request.user.get_username()
    job = ask_for_restore(find_generation(key), host, wish, asked_by=who)
    return {"job": job.pk, "title": job.title, "state": job.state}, 202


@json_view("GET")
def read_instants(_: HttpRequest) -> list[dict[str, Any]]:
    return [one.as_json() for one in instant_list()]

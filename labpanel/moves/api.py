"""The API's view of moves: the CLI's shapes, the same services."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest

from hosts.models import VM
from hosts.selectors.naming import find_host, find_vm
from labpanel.api import Optional, json_view, parse_body
from labpanel.jobs.acting import asker
from labpanel.moves.services.move import ask
from labpanel.moves.services.plan import plan
from labpanel.moves.services.plan_json import plan_json


@json_view("GET")
def read_plan(request: HttpRequest, uuid: UUID) -> dict[str, Any]:
    """What a move would do; `?to=` names the host, else the best one is taken."""
    word = request.GET.get("to")
    return plan_json(plan(_vm(uuid), find_host(word) if word else None))


@json_view("POST")
def create_move(request: HttpRequest, uuid: UUID) -> tuple[dict[str, Any], int]:
    """`{"to"}` (the best host unless given) → `{"job", "title", "state"}`."""
    asked = parse_body(request, {"to": Optional(str)})
    host = find_host(asked["to"]) if asked["to"] else None
    job = ask(_vm(uuid), host, asker(request))
    return {"job": job.pk, "title": job.title, "state": job.state}, 202


def _vm(uuid: UUID) -> VM:
    """Raises Refusal (404) for a UUID that no VM has."""
    return find_vm(str(uuid))

"""The API's view of rehearsals."""

from typing import Any

from django.http import HttpRequest

from backups.selectors.generations import find_generation
from backups.selectors.rehearsals import rehearsals_of
from backups.services.rehearse import ask_for_rehearsal
from hosts.selectors.naming import find_host
from labpanel.api import Optional, json_view, parse_body
from labpanel.jobs.acting import asker


@json_view("GET")
def read_rehearsals(_: HttpRequest, key: str) -> list[dict[str, Any]]:
    """Newest first: `{"generation", "vm", "host", "began_at", "ended_at", "passed", "sentence",
    "checks": [{"what", "passed" (null: not proven), "seen"}], "screen"}`."""
    return [one.as_json() for one in rehearsals_of(find_generation(key))]


@json_view("POST")
def create_rehearsal(request: HttpRequest, key: str) -> tuple[dict[str, Any], int]:
    """`{"on"}` (none: the panel chooses the host) → `{"job"}`."""
    asked = parse_body(request, {"on": Optional(str)})
    host = find_host(asked["on"]) if asked["on"] else None
    job = ask_for_rehearsal(find_generation(key), host, asked_by=asker(request))
    return {"job": job.pk, "title": job.title, "state": job.state}, 202

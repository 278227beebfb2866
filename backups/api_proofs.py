"""The API's way to verify whole stores and to mend."""

from typing import Any

from django.http import HttpRequest

from backups.selectors.generations import find_generation
from backups.selectors.stores import find_store
from backups.services.mend import ask_for_mend
from backups.services.verify_many import ask_for_many
from labpanel.api import Optional, json_view, parse_body
from labpanel.jobs.acting import asker
from labpanel.jobs.models import Job


@json_view("POST")
def create_mending(request: HttpRequest, key: str) -> tuple[dict[str, Any], int]:
    """→ `{"job"}`. 409 with a sentence if nothing is known to be wrong."""
    return _opened(ask_for_mend(find_generation(key), asked_by=asker(request))), 202


@json_view("POST")
def create_verifications(request: HttpRequest) -> tuple[list[dict[str, Any]], int]:
    """`{"store" (none: all), "level" (1 unless given)}` → one `{"job"}` for each generation."""
    asked = parse_body(request, {"store": Optional(str), "level": Optional(int, 1)})
    store = find_store(asked["store"]) if asked["store"] else None
    jobs = ask_for_many(store, asked["level"], asked_by=asker(request))
    return [_opened(job) for job in jobs], 202


def _opened(job: Job) -> dict[str, Any]:
    return {"job": job.pk, "title": job.title, "state": job.state}

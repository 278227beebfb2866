"""The API's view of stores, generations and coverage: the CLI's shapes, the same services."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils import timezone

from backups.selectors.coverage import coverage
from backups.selectors.generations import as_json, find_generation, generation_list
from backups.selectors.stores import find_store, store_for, store_list, store_row
from backups.services.add_store import add_store
from backups.services.back_up import ask_for_backup
from backups.services.verify import ask_for_verify
from hosts.selectors.naming import find_host, find_vm
from labpanel.api import Optional, json_view, parse_body
from labpanel.jobs.models import Job

Answer = tuple[Any, int]


@json_view("GET")
def read_coverage(request: HttpRequest) -> list[dict[str, Any]]:
    """`?vm=` narrows it to one VM."""
    word = request.GET.get("vm")
    rows = coverage(timezone.now(), find_vm(word) if word else None)
    return [row.as_json() for row in rows]


@json_view("GET")
def read_stores(_: HttpRequest) -> list[dict[str, Any]]:
    return [row.as_json() for row in store_list()]


@json_view("POST")
def create_store(request: HttpRequest) -> Answer:
    """`{"name", "path", "host" (none: the panel's machine), "take_over"}`."""
    asked = parse_body(
        request,
        {
            "name": str,
            "path": str,
            "host": Optional(str),
            "take_over": Optional(bool, default=False),
        },
    )
    host = find_host(asked["host"]) if asked["host"] else None
    store = add_store(asked["name"], host, asked["path"], take_over=asked["take_over"])
    return store_row(store).as_json(), 201


@json_view("GET")
def read_generations(request: HttpRequest) -> list[dict[str, Any]]:
    """`?vm=` narrows it to one VM."""
    word = request.GET.get("vm")
    found = generation_list(find_vm(word) if word else None)
    return [as_json(generation) for generation in found]


@json_view("GET")
def read_generation(_: HttpRequest, key: str) -> dict[str, Any]:
    return as_json(find_generation(key))


@json_view("POST")
def create_backup(request: HttpRequest) -> Answer:
    """`{"vm", "store"}` → `{"job"}`."""
    asked = parse_body(request, {"vm": str, "store": Optional(str)})
    vm = find_vm(asked["vm"])
    store = find_store(asked["store"]) if asked["store"] else store_for(vm)
    return _opened(ask_for_backup(vm, store, asked_by=_who(request)))


@json_view("POST")
def create_verification(request: HttpRequest, key: str) -> Answer:
    """`{"level"}` (2 unless given) → `{"job"}`."""
    asked = parse_body(request, {"level": Optional(int, 2)})
    job = ask_for_verify(find_generation(key), asked["level"], asked_by=_who(request))
    return _opened(job)


def _opened(job: Job) -> Answer:
    return {"job": job.pk, "title": job.title, "state": job.state}, 202


def _who(request: HttpRequest) -> str:
    user = request.user
    return "" if isinstance(user, AnonymousUser) else user.get_username()

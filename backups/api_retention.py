"""The API's view of what is kept and why: dry runs, prunes, holds, protected generations."""

from typing import Any

from django.http import HttpRequest

from backups.selectors.generations import as_json as generation_json
from backups.selectors.generations import find_generation
from backups.selectors.holds import as_json as hold_json
from backups.selectors.holds import hold_list
from backups.selectors.retention import plans
from backups.selectors.stores import find_store
from backups.services.hold import hold, release
from backups.services.protect import protect, unprotect
from backups.services.prune import ask_for_prune
from hosts.models import VM
from hosts.selectors.naming import find_vm
from labpanel.api import json_view, parse_body

Answer = tuple[Any, int]


@json_view("GET")
def read_retention(request: HttpRequest) -> list[dict[str, Any]]:
    """What a prune would do; `?vm=` and `?store=` narrow it."""
    word, where = request.GET.get("vm"), request.GET.get("store")
    vms = [find_vm(word)] if word else list(VM.objects.order_by("name"))
    store = find_store(where) if where else None
    return [plan.as_json() for vm in vms for plan in plans(vm, store)]


@json_view("POST")
def create_prune(request: HttpRequest) -> Answer:
    """`{"vm", "store"}` → `{"job"}`."""
    asked = parse_body(request, {"vm": str, "store": str})
    vm, store = find_vm(asked["vm"]), find_store(asked["store"])
    job = ask_for_prune(vm, store, asked_by=request.user.get_username())
    return {"job": job.pk, "title": job.title, "state": job.state}, 202


@json_view("GET")
def read_holds(_: HttpRequest) -> list[dict[str, Any]]:
    return [hold_json(each) for each in hold_list()]


@json_view("POST")
def create_hold(request: HttpRequest) -> Answer:
    """`{"vm", "reason"}`."""
    asked = parse_body(request, {"vm": str, "reason": str})
    kept = hold(find_vm(asked["vm"]), asked["reason"], request.user.get_username())
    return hold_json(kept), 201


@json_view("DELETE")
def remove_hold(request: HttpRequest) -> dict[str, Any]:
    """`{"vm"}`."""
    asked = parse_body(request, {"vm": str})
    return {"sentence": release(find_vm(asked["vm"]), request.user.get_username())}


@json_view("POST")
def create_protection(request: HttpRequest, key: str) -> dict[str, Any]:
    """`{"reason"}` → the generation."""
    generation = find_generation(key)
    protect(generation, parse_body(request, {"reason": str})["reason"])
    return generation_json(generation)


@json_view("DELETE")
def remove_protection(_: HttpRequest, key: str) -> dict[str, Any]:
    generation = find_generation(key)
    unprotect(generation)
    return generation_json(generation)

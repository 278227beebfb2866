"""/api/v1: hosts and VMs, in the command line's own shapes."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from hosts.models import VM
from hosts.selectors.findings import incident_list
from hosts.selectors.host_facts import host_facts, vm_facts
from hosts.selectors.lists import host_list, vm_list
from hosts.selectors.naming import find_host
from hosts.services import add_host, forget_vm, power, remove_host
from labpanel.adapters.ssh import public_key
from labpanel.api import Optional, by_method, json_view, parse_body
from labpanel.lib.refusal import Refusal


@json_view("GET")
def _hosts(request: HttpRequest) -> list[dict[str, Any]]:
    return [row.as_json() for row in host_list(timezone.now())]


@json_view("POST")
def _add_host(request: HttpRequest) -> tuple[dict[str, Any], int]:
    """Without a fingerprint the answer is 409 with the one that is to be confirmed."""
    given = parse_body(request, {"name": str, "target": str, "fingerprint": Optional(str, "")})
    if given["target"] == add_host.LOCAL:
        host = add_host.add_local(given["name"])
    else:
        asked = add_host.check(given["name"], given["target"])
        key = add_host.fetch_key(asked)
        if not given["fingerprint"]:
            raise Refusal(
                f"{asked.name} shows the host key {key.fingerprint}. If it is the right one, send "
                "it as fingerprint.",
                409,
            )
        host = add_host.add(asked, key, given["fingerprint"])
    return host_facts(host, timezone.now()), 201


@json_view("GET")
def _host(request: HttpRequest, name: str) -> dict[str, Any]:
    return host_facts(find_host(name), timezone.now())


@json_view("DELETE")
def _remove_host(request: HttpRequest, name: str) -> dict[str, Any]:
    return {"sentence": remove_host.remove(find_host(name))}


@json_view("GET")
def key(request: HttpRequest) -> dict[str, Any]:
    """The line for authorized_keys."""
    return {"public_key": public_key()}


@json_view("GET")
def vms(request: HttpRequest) -> list[dict[str, Any]]:
    """All VMs, or those of one host (`?host=NAME`)."""
    unknown = sorted(set(request.GET) - {"host"})
    if unknown:
        raise Refusal(f"Unknown parameter {unknown[0]!r}; known is host.")
    host = find_host(request.GET["host"]) if "host" in request.GET else None
    return [row.as_json() for row in vm_list(timezone.now(), host)]


@json_view("GET")
def _vm(request: HttpRequest, uuid: UUID) -> dict[str, Any]:
    return vm_facts(_find(uuid), timezone.now())


@json_view("DELETE")
def _forget_vm(request: HttpRequest, uuid: UUID) -> dict[str, Any]:
    return {"sentence": forget_vm.forget(_find(uuid))}


@json_view("POST")
def vm_power(request: HttpRequest, uuid: UUID) -> tuple[dict[str, Any], int]:
    """`{"verb": "start" | "shutdown" | "reboot" | "destroy"}` → `{"job": number}`."""
    given = parse_body(request, {"verb": str})
    job = power.ask(_find(uuid), given["verb"], request.user.get_username())
    return {"job": job.pk}, 202


def _find(uuid: UUID) -> VM:
    found = VM.objects.select_related("host").filter(uuid=uuid).first()
    if found is None:
        raise Refusal(f"There is no VM with the UUID {uuid}.", 404)
    return found


hosts = by_method(GET=_hosts, POST=_add_host)
vm = by_method(GET=_vm, DELETE=_forget_vm)
host = by_method(GET=_host, DELETE=_remove_host)


@json_view("GET")
def incidents(request: HttpRequest) -> list[dict[str, Any]]:
    """What is wrong, worst first; with `?past=1` also what is over."""
    unknown = sorted(set(request.GET) - {"past"})
    if unknown or request.GET.get("past", "0") not in {"0", "1"}:
        raise Refusal("The only parameter is past, 0 or 1.")
    return [row.as_json() for row in incident_list(past=request.GET.get("past") == "1")]

"""Adding a host in two steps: see its fingerprint, then confirm it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from hosts.services import add_host
from labpanel.adapters.errors import AdapterError
from labpanel.jobs.acting import lead_to, refuse
from labpanel.lib.refusal import Refusal


@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """The fingerprint that the machine shows; nothing is stored."""
    try:
        asked = _asked(request)
        key = add_host.fetch_key(asked)
    except (Refusal, AdapterError) as no:
        return refuse(request, no.sentence, getattr(no, "status", 502))
    return render(request, "hosts/confirm.html", {"asked": asked, "key": key})


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Take the host in, if it still shows the fingerprint that was confirmed."""
    try:
        asked = _asked(request)
        key = add_host.fetch_key(asked)
        host = add_host.add(asked, key, request.POST.get("fingerprint", ""))
    except (Refusal, AdapterError) as no:
        return refuse(request, no.sentence, getattr(no, "status", 502))
    return lead_to(request, host.get_absolute_url())


def _asked(request: HttpRequest) -> add_host.Asked:
    name, target = request.POST.get("name", ""), request.POST.get("target", "")
    return add_host.check(name.strip(), target.strip())

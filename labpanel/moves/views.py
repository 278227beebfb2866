"""The page that shows what a move would do, and the button that does it."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from hosts.models import VM, Host
from hosts.selectors.naming import find_host
from labpanel.jobs.acting import act, asker, refuse
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal
from labpanel.moves.services.move import ask
from labpanel.moves.services.plan import plan


@require_http_methods(["GET", "POST"])
def move(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """GET shows the plan (`?to=` for another host than the best one), POST opens the job."""
    vm = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    if request.method == "POST":
        return act(request, lambda: _ask(request, vm))
    try:
        found = plan(vm, _host(request.GET.get("to", "")))
    except Refusal as refusal:
        return refuse(request, refusal.sentence, refusal.status)
    return render(request, "moves/plan.html", {"vm": vm, "plan": found})


def _ask(request: HttpRequest, vm: VM) -> Job:
    return ask(vm, _host(request.POST.get("to", "")), asker(request))


def _host(name: str) -> Host | None:
    return find_host(name) if name else None

"""The page that shows what a move would do, and the button that does it."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from backups.selectors.restore.bring_back import bring_back_of
from hosts.models import VM, Host
from hosts.selectors.naming import find_host
from labpanel.jobs.acting import act, answer, asker
from labpanel.jobs.models import Job
from labpanel.lib.definition import spoken
from labpanel.moves.services.move import ask
from labpanel.moves.services.plan import plan


@require_http_methods(["GET", "POST"])
def move(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """GET shows the plan (`?to=` for another host than the best one), POST opens the job."""
    vm = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    if request.method == "POST":
        return act(request, lambda: _ask(request, vm))

    def planned() -> HttpResponse:
        found = plan(vm, _host(request.GET.get("to", "")))
        bring = None if found.possible else bring_back_of(vm, timezone.now())
        return render(request, "moves/plan.html", {"vm": vm, "plan": found, "bring": bring})

    return answer(request, planned)


def _ask(request: HttpRequest, vm: VM) -> Job:
    said = request.POST
    word = spoken(said.get("accept_reach", ""), drop=said.get("drop_reach") == "1")
    return ask(vm, _host(said.get("to", "")), asker(request), word, on_page=True)


def _host(name: str) -> Host | None:
    return find_host(name) if name else None

"""The buttons that start a VM, shut it down, reboot or reset it, resume it, or cut its power.

What ends a run is asked once more, on a page of its own: a tap that missed ends nothing.
"""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from hosts.models import VM
from hosts.rules.placement.power_words import question
from hosts.services.vms import power as service
from labpanel.jobs.acting import act, asker


@require_http_methods(["GET", "HEAD", "POST"])
def power(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """GET asks (`?verb=`), POST does; what ends a run needs `confirmed`, the verb again."""
    vm = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    said = request.POST if request.method == "POST" else request.GET
    verb = said.get("verb", "")
    asked = question(verb, vm.name)
    if request.method == "POST" and (asked is None or said.get("confirmed") == verb):
        return act(request, lambda: service.ask(vm, verb, asker(request)))
    if asked is None:
        return redirect(vm.get_absolute_url())
    status = 409 if request.method == "POST" else 200
    return render(request, "hosts/power.html", {"vm": vm, "asked": asked}, status=status)

"""The buttons that start a VM, shut it down, reboot it, or cut its power."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from hosts.models import VM
from hosts.services import power as service
from labpanel.jobs.acting import act, asker


@require_POST
def power(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    verb = request.POST.get("verb", "")
    return act(request, lambda: service.ask(vm, verb, asker(request)))

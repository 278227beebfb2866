"""The button that backs a VM up."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from backups.models import Store
from backups.services.backup.back_up import ask_for_backup
from hosts.models import VM
from labpanel.jobs.acting import act, asker
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal


@require_POST
def back_up(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    return act(request, lambda: _ask(request, vm))


def _ask(request: HttpRequest, vm: VM) -> Job:
    name = request.POST.get("store", "")
    store = Store.objects.filter(name=name).first()
    if store is None:
        raise Refusal(f"There is no store {name!r}." if name else "Say to which store.", 400)
    return ask_for_backup(vm, store, asked_by=asker(request))

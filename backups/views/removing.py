"""The forms that remove a VM of the panel's own making, and a store from the panel's lists."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from backups.models import Store
from backups.services.made_vms.ask_remove_vm import RemovalRequest, ask_remove
from backups.services.stores.remove_store import remove_store
from hosts.models import VM
from labpanel.jobs.acting import act, asker, do


@require_POST
def vm(request: HttpRequest, uuid: UUID) -> HttpResponse:
    found = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    wish = RemovalRequest(
        images=request.POST.get("images") == "1",
        typed=request.POST.get("name", ""),
        switch_off=request.POST.get("switch_off") == "1",
    )
    return act(request, lambda: ask_remove(found, wish, asked_by=asker(request)))


@require_POST
def store(request: HttpRequest, store: str) -> HttpResponse:
    found = get_object_or_404(Store.objects.select_related("host"), name=store)
    return do(request, lambda: remove_store(found), reverse("settings") + "#stores")

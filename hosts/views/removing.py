"""The forms that take a host, or a VM that is gone, off the panel's lists."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from hosts.models import VM, Host
from hosts.services.machines import remove_host
from hosts.services.vms import forget_vm
from labpanel.jobs.acting import do
from labpanel.lib.refusal import Refusal


@require_POST
def remove(request: HttpRequest, name: str) -> HttpResponse:
    """The host's name is typed, as on the command line."""
    host = get_object_or_404(Host, name=name)

    def confirmed() -> None:
        if request.POST.get("typed", "").strip() != host.name:
            raise Refusal(f"Type the host's name, {host.name}, to confirm. Nothing was removed.")
        remove_host.remove(host)

    return do(request, confirmed, reverse("settings") + "#hosts")


@require_POST
def forget(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    return do(request, lambda: forget_vm.forget(vm), reverse("overview"))

"""The page of one VM."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from backups.selectors.restore.instants import instants_of
from backups.selectors.restore.made import made_vm
from hosts.models import VM
from labpanel.home.ranges import chosen_range, links
from labpanel.home.selectors.vm_page import vm_page


@require_safe
def vm(request: HttpRequest, uuid: UUID) -> HttpResponse:
    found = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    chosen = chosen_range(request)
    page = vm_page(found, timezone.now())
    context = {
        "vm": found,
        "page": page,
        "made": made_vm(found),
        "instants": instants_of(found.uuid),
        "placeholders": range(2 + len(page.disks)),
        "range": chosen,
        "ranges": links(chosen),
    }
    return render(request, "home/vm.html", context)

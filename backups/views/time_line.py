"""All copies of one VM, as a time line."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from backups.selectors.coverage import coverage
from backups.selectors.holds import held
from backups.selectors.retention import fates_of, plans
from backups.selectors.time_line import moments
from hosts.models import VM

PER_PAGE = 60


@require_safe
def generations(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    made = plans(vm)
    found = moments(vm, fates=fates_of(made))
    context = {
        "vm": vm,
        "page": Paginator(found, PER_PAGE).get_page(request.GET.get("page")),
        "rows": coverage(timezone.now(), vm),
        "plans": made,
        "hold": held(vm),
    }
    return render(request, "backups/vm_generations.html", context)

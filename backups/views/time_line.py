"""All copies of one VM, as a time line."""

from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from backups.selectors.copies.holds import held
from backups.selectors.copies.retention import fates_of, plans
from backups.selectors.copies.time_line import moments
from backups.selectors.coverage.coverage import coverage
from hosts.models import VM

PER_PAGE = 60


@require_safe
def generations(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VM.objects.select_related("host"), uuid=uuid)
    made, rows = plans(vm), coverage(timezone.now(), vm)
    found = moments(vm, fates=fates_of(made))
    context = {
        "vm": vm,
        "page": Paginator(found, PER_PAGE).get_page(request.GET.get("page")),
        "rows": rows,
        "left_out": list(dict.fromkeys(said for row in rows for said in row.left_out)),
        "plans": made,
        "hold": held(vm),
    }
    return render(request, "backups/vm_generations.html", context)

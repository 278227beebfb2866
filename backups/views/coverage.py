"""Every virtual disk and what is kept of it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from backups.models import Store
from backups.selectors.coverage import coverage as rows_of
from backups.selectors.coverage import summary


@require_safe
def coverage(request: HttpRequest) -> HttpResponse:
    rows = rows_of(timezone.now())
    context = {"rows": rows, "counts": summary(rows), "stores": list(Store.objects.all())}
    return render(request, "backups/coverage.html", context)

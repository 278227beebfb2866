"""Every virtual disk and what is kept of it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from backups.selectors.coverage.coverage_page import coverage_page


@require_safe
def coverage(request: HttpRequest) -> HttpResponse:
    return render(request, "backups/coverage.html", {"page": coverage_page(timezone.now())})

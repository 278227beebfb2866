"""The first page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from labpanel.adapters.ssh import public_key
from labpanel.home.selectors import overview as selector


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    page = selector.overview(timezone.now())
    if not page.hosts:
        return render(request, "home/no_hosts.html", {"public_key": public_key()})
    return render(request, "home/overview.html", {"page": page, "say": page.say})

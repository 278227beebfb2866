"""The first page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from labpanel.adapters.ssh.openssh import public_key
from labpanel.home.selectors import overview as selector
from labpanel.panel_copies.selectors.known_copies import panel_copies
from labpanel.panel_copies.state import panel_state


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    page = selector.overview(timezone.now())
    if not page.hosts:
        return render(request, "home/no_hosts.html", {"public_key": public_key()})
    copies = panel_copies(panel_state(), timezone.now())
    context = {"page": page, "headline": page.headline, "own_copies": copies}
    return render(request, "home/overview.html", context)

"""The page of one host."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from hosts.models import Host
from hosts.services.machines.remove_host import what_goes
from labpanel.home.ranges import chosen_range, links
from labpanel.home.selectors.host_page import host_page


@require_safe
def host(request: HttpRequest, name: str) -> HttpResponse:
    found = get_object_or_404(Host, name=name)
    chosen = chosen_range(request)
    page = host_page(found, timezone.now())
    context = {
        "host": found,
        "page": page,
        "goes": what_goes(found),
        "placeholders": range(4 + len(page.devices)),
        "range": chosen,
        "ranges": links(chosen),
    }
    return render(request, "home/host.html", context)

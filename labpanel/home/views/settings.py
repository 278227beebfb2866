"""Hosts, stores, the panel's key, signing out."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from backups.models import Store
from backups.selectors.stores.lies_on import proposals
from hosts.models import Host
from labpanel.adapters.ssh.openssh import public_key
from labpanel.home.selectors.late_tasks import late_sentences
from labpanel.panel_copies.selectors.known_copies import panel_copies
from labpanel.panel_copies.state import panel_state


@require_safe
def settings(request: HttpRequest) -> HttpResponse:
    context = {
        "hosts": list(Host.objects.all()),
        "stores": list(Store.objects.select_related("host")),
        "places": proposals(),
        "public_key": public_key(),
        "late_tasks": late_sentences(),
        "own_copies": panel_copies(panel_state(), timezone.now()),
    }
    return render(request, "home/settings.html", context)

"""Hosts, stores, the panel's key, signing out."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from backups.models import Store
from hosts.models import Host
from labpanel.adapters.ssh import public_key


@require_safe
def settings(request: HttpRequest) -> HttpResponse:
    context = {
        "hosts": list(Host.objects.all()),
        "stores": list(Store.objects.select_related("host")),
        "public_key": public_key(),
    }
    return render(request, "home/settings.html", context)

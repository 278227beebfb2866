"""Stores: what each keeps and how much room is left; adding one from the settings page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from backups.models import Store
from backups.selectors.store_page import store_page
from backups.selectors.stores import store_list
from backups.services.add_store import add_store
from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.jobs.acting import lead_to, refuse
from labpanel.lib.refusal import Refusal


@require_safe
def stores(request: HttpRequest) -> HttpResponse:
    return render(request, "backups/stores.html", {"stores": store_list()})


@require_safe
def show(request: HttpRequest, store: str) -> HttpResponse:
    found = get_object_or_404(Store.objects.select_related("host"), name=store)
    page = store_page(found, timezone.now())
    return render(request, "backups/store.html", {"page": page})


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    name, path = request.POST.get("name", "").strip(), request.POST.get("path", "").strip()
    host = Host.objects.filter(name=request.POST.get("host", "")).first()
    if request.POST.get("host") and host is None:
        return refuse(request, f"There is no host {request.POST['host']!r}.", 400)
    if not path.startswith("/"):
        return refuse(request, f"{path!r} is no absolute path; it begins with a slash.", 400)
    try:
        add_store(name, host, path)
    except Refusal as refusal:
        return refuse(request, refusal.sentence, refusal.status)
    except AdapterError as error:
        return refuse(request, error.sentence, 502)
    return lead_to(request, reverse("settings") + "#stores")

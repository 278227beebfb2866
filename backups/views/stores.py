"""Stores: what each keeps and how much room is left; adding one from the settings page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from backups.models import Store
from backups.selectors.stores.lies_on import proposals
from backups.selectors.stores.store_page import store_page
from backups.selectors.stores.stores import store_list
from backups.services.stores.add_store import add_store
from hosts.models import Host
from labpanel.jobs.acting import do, refuse


@require_safe
def stores(request: HttpRequest) -> HttpResponse:
    return render(request, "backups/stores.html", {"stores": store_list()})


@require_safe
def show(request: HttpRequest, store: str) -> HttpResponse:
    found = get_object_or_404(Store.objects.select_related("host"), name=store)
    page = store_page(found, timezone.now())
    return render(request, "backups/store.html", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """The form with the folders that are proposed; sent, the store."""
    if request.method != "POST":
        context = {"hosts": Host.objects.all(), "places": proposals()}
        return render(request, "backups/store_add.html", context)
    name, path = request.POST.get("name", "").strip(), request.POST.get("path", "").strip()
    on = request.POST.get("host", "")
    chosen = request.POST.get("place", "")
    if chosen:  # one of the proposals, as `Place.value` writes it
        on, slash, rest = chosen.partition("/")
        path = slash + rest
    host = Host.objects.filter(name=on).first()
    if on and host is None:
        return refuse(request, f"There is no host {on!r}.", 400)
    if not path.startswith("/"):
        return refuse(request, f"{path!r} is not an absolute path; it begins with a slash.", 400)
    made, taken = "make_folder" in request.POST, "take_over" in request.POST
    return do(
        request,
        lambda: add_store(name, host, path, make_folder=made, take_over=taken),
        reverse("settings") + "#stores",
    )

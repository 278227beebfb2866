"""Adding a store from the settings page."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from backups.services.add_store import add_store
from hosts.models import Host
from labpanel.adapters.errors import AdapterError
from labpanel.jobs.acting import lead_to, refuse
from labpanel.lib.refusal import Refusal


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

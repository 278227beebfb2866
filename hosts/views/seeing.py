"""The button that says of an incident that it was seen."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from hosts.services.checks.acknowledge import acknowledge
from labpanel.jobs.acting import asker, do, way_back


@require_POST
def seen(request: HttpRequest, number: int) -> HttpResponse:
    back = way_back(request) or reverse("overview")
    return do(request, lambda: acknowledge(number, asker(request)), back)

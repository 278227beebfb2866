"""Mending a damaged generation from its page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from backups.models import Generation
from backups.services.proof.mend import ask_for_mend
from labpanel.jobs.acting import act, asker


@require_POST
def mend(request: HttpRequest, key: str) -> HttpResponse:
    found = get_object_or_404(Generation.objects.select_related("store"), key=key)
    return act(request, lambda: ask_for_mend(found, asked_by=asker(request)))

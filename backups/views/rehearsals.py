"""The button that rehearses a generation, and the pictures of what its screen showed."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST, require_safe

from backups.models import Generation, Rehearsal
from backups.services.rehearsal.rehearse import ask_for_rehearsal
from hosts.models import Host
from labpanel.jobs.acting import act, asker
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal


@require_POST
def rehearse(request: HttpRequest, key: str) -> HttpResponse:
    found = get_object_or_404(Generation.objects.select_related("store"), key=key)
    return act(request, lambda: _ask(request, found))


def _ask(request: HttpRequest, found: Generation) -> Job:
    """Without a host the panel chooses."""
    on = request.POST.get("on", "")
    host = Host.objects.filter(name=on).first() if on else None
    if on and host is None:
        raise Refusal(f"There is no host {on!r}.", 400)
    return ask_for_rehearsal(found, host, asked_by=asker(request))


@require_safe
def screen(request: HttpRequest, pk: int) -> HttpResponse:
    return _picture(pk, "screenshot")


@require_safe
def thumbnail(request: HttpRequest, pk: int) -> HttpResponse:
    return _picture(pk, "thumbnail")


def _picture(pk: int, name: str) -> HttpResponse:
    """What a guest's screen showed: as private as the page it stands on, and kept as little."""
    content = Rehearsal.objects.filter(pk=pk).values_list(name, flat=True).first()
    if content is None:
        raise Http404("There is no such picture (any more).")
    return HttpResponse(bytes(content), content_type="image/png")

"""From a button to a job: the same answer for every verb of the pages."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from labpanel.adapters.errors import AdapterError
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.lib.refusal import Refusal


def act(request: HttpRequest, ask: Callable[[], Job]) -> HttpResponse:
    """Open the job and lead to its page; a no is one sentence, with its status and a way back."""
    try:
        return lead_to(request, ask().get_absolute_url())
    except Busy as busy:
        return refuse(request, busy.sentence, 409, busy.job)
    except Refusal as refusal:
        return refuse(request, refusal.sentence, refusal.status)
    except AdapterError as error:
        return refuse(request, error.sentence, 502)


def refuse(
    request: HttpRequest, sentence: str, status: int, job: Job | None = None
) -> HttpResponse:
    back = request.META.get("HTTP_REFERER", "") if request.method == "POST" else ""
    context = {"sentence": sentence, "job": job, "back": _path(request, back)}
    return render(request, "refused.html", context, status=status)


def lead_to(request: HttpRequest, address: str) -> HttpResponse:
    """A redirect; to htmx, which would follow it into a part of the page, a header."""
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def asker(request: HttpRequest) -> str:
    """Who asks, for the ledger."""
    return request.user.get_username()


def _path(request: HttpRequest, address: str) -> str:
    """Only an address of this panel is led back to."""
    here = f"{request.scheme}://{request.get_host()}/"
    return "/" + address.removeprefix(here) if address.startswith(here) else ""

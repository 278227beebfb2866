"""Whether the clock of the panel's machine is right: what it says, and the owner's word."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from labpanel.clock.selectors import doubted
from labpanel.clock.services.confirm import confirm
from labpanel.jobs.acting import asker
from labpanel.lib.clock import ADVICE


@require_http_methods(["GET", "HEAD", "POST"])
def clock(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        confirm(asker(request))
        return redirect("overview")
    context = {"doubt": doubted(), "advice": ADVICE, "now": timezone.now()}
    return render(request, "home/clock.html", context)

"""The activity page and the page of one job."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from labpanel.jobs import groups, ledger
from labpanel.jobs.acting import refuse
from labpanel.jobs.models import Job
from labpanel.jobs.selectors import seconds_left_of
from labpanel.jobs.states import State

LINES = 300
PAGE = 40


@require_safe
def jobs(request: HttpRequest) -> HttpResponse:
    page = Paginator(Job.objects.all(), PAGE).get_page(request.GET.get("page"))
    page.object_list = groups.as_shown(page.object_list)
    return render(request, "jobs/jobs.html", {"page": page})


@require_safe
def job(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Job.objects.select_related("parent"), pk=pk)
    found = groups.as_shown([row])[0]
    newest = list(found.lines.order_by("-pk")[: LINES + 1])
    context = {
        "job": found,
        "children": groups.children_of(found),
        "lines": newest[LINES - 1 :: -1],
        "cut": len(newest) > LINES,
        "about": _about(found),
        "seconds_left": seconds_left_of(found),
    }
    return render(request, "jobs/job.html", context)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Job, pk=pk)
    if not ledger.ask_to_cancel(found):
        return refuse(request, f"{found.title}: this had already ended.", 409, found)
    return redirect(found)


def _about(found: Job) -> str:
    """The address of the VM that the job is about, if it is about one."""
    kind, _, uuid = found.subject.partition(":")
    if kind != "vm" or not uuid or (found.kind == "restore" and found.state != State.DONE):
        return ""  # a VM that is being restored has no page yet
    if found.kind == "remove" and found.state == State.DONE:
        return ""  # nor has one that was removed, any more
    return reverse("vm", args=[uuid])

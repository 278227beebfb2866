"""From a button to a job: the same answer for every verb of the pages."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from labpanel.jobs.again import above, form_again
from labpanel.jobs.ledger import Busy
from labpanel.jobs.models import Job
from labpanel.lib.actor import Actor
from labpanel.lib.form_again import RefusedForm
from labpanel.lib.page_words import page_words
from labpanel.lib.said import Said


def act(request: HttpRequest, ask: Callable[[], Job]) -> HttpResponse:
    """Open the job and lead to its page; a refusal is one sentence, with its status and a way
    back."""
    return answer(request, lambda: HttpResponseRedirect(ask().get_absolute_url()))


def do(request: HttpRequest, deed: Callable[[], object], address: str) -> HttpResponse:
    """Do it and lead to `address`; a refusal likewise."""

    def done() -> HttpResponse:
        deed()
        return HttpResponseRedirect(address)

    return answer(request, done)


def answer(request: HttpRequest, make: Callable[[], HttpResponse], form: str = "") -> HttpResponse:
    """What `make` answers; what is Said meanwhile is refused (`refuse`). The pages' one place for
    refusals."""
    try:
        return make()
    except Said as no:
        holder = no.job if isinstance(no, Busy) else None
        return refuse(request, no.sentence, no.http_status, holder, form)


def refuse(
    request: HttpRequest, sentence: str, status: int, job: Job | None = None, form: str = ""
) -> HttpResponse:
    """The form again with what was typed and why not, where its page can be shown, else a page
    that says so. `form` is the address that the form sends to, if not this one."""
    back, sentence = way_back(request), page_words(sentence)
    if request.method == "POST":
        link = (job.get_absolute_url(), "See what is being done") if job else None
        posted = {name: [str(each) for each in values] for name, values in request.POST.lists()}
        refused = RefusedForm(form or request.path, posted, sentence, link)
        again = form_again(request, refused, [back, form or request.path, above(request.path)])
        if again is not None:
            return HttpResponse(again, status=status)
    context = {"sentence": sentence, "job": job, "back": back}
    return render(request, "refused.html", context, status=status)


def way_back(request: HttpRequest) -> str:
    """The page of this panel on which a button was pressed; empty where that is not known."""
    back = request.META.get("HTTP_REFERER", "") if request.method == "POST" else ""
    return _path(request, back)


def asker(request: HttpRequest) -> Actor:
    """Who asks."""
    return Actor.user(request.user.get_username())


def _path(request: HttpRequest, address: str) -> str:
    """Only an address of this panel is led back to."""
    here = f"{request.scheme}://{request.get_host()}/"
    return "/" + address.removeprefix(here) if address.startswith(here) else ""

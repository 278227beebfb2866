"""What cannot be shown, said in one sentence. Named by labpanel.urls."""

import sys

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import REASON_BAD_ORIGIN
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token

from labpanel.adapters.here.saving import trouble
from labpanel.lib.printable import printable
from labpanel.verbs.http import error

_FOREIGN = REASON_BAD_ORIGIN.partition(" - ")[0]

AGAIN_SECONDS = 10


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _say(request, 400, "The browser sent something that the panel does not understand.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _say(request, 403, "You may not do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    sentence = "Nothing is at this address. What stood here may have been removed or renamed."
    return _say(request, 404, sentence)


def broken(request: HttpRequest) -> HttpResponse:
    """Rendered without a request: whatever broke may break again in the page's frame.

    A full disk or a locked database is not a bug: 503, named, and worth another try.
    """
    sentence = trouble(sys.exc_info()[1])
    if not sentence:
        return HttpResponse(render_to_string("500.html"), status=500)
    if request.path.startswith("/api/") or request.path.endswith(".json"):
        response: HttpResponse = error(sentence, 503)
    else:
        response = HttpResponse(render_to_string("500.html", {"sentence": sentence}), status=503)
    response["Retry-After"] = str(AGAIN_SECONDS)
    return response


@requires_csrf_token
def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Named by settings.CSRF_FAILURE_VIEW."""
    if request.path.startswith("/api/"):
        return error("Send the CSRF token of your session as X-CSRFToken.", 403)
    if reason.startswith(_FOREIGN):
        return _say(request, 403, _foreign(request))
    sentence = "This form is too old, or came from elsewhere. Go back, load the page again, retry."
    return _say(request, 403, sentence)


def _foreign(request: HttpRequest) -> str:
    """Most often a proxy that the panel was not told of: the browser says https, it sees http."""
    origin = printable(request.headers.get("Origin", ""), 100)
    return (
        f"The browser shows the panel as {origin}, and the panel knows itself as "
        f"{request.scheme}://{request.get_host()}. If the first one is right, set "
        "LABPANEL_URL to it on the panel's machine, and behind a proxy LABPANEL_TRUSTED_PROXIES."
    )


def _say(request: HttpRequest, status: int, sentence: str, back: str = "") -> HttpResponse:
    said = {"status": status, "sentence": sentence, "back": back}
    return render(request, "error.html", said, status=status)

"""What cannot be shown, said in one sentence. Named by labpanel.urls."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token

from labpanel.api import error


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _say(request, 400, "The browser sent something that the panel does not understand.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _say(request, 403, "You may not do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    sentence = "Nothing is at this address. What stood here may have been removed or renamed."
    return _say(request, 404, sentence)


def broken(request: HttpRequest) -> HttpResponse:
    """Rendered without a request: whatever broke may break again in the page's frame."""
    return HttpResponse(render_to_string("500.html"), status=500)


@requires_csrf_token
def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Named by settings.CSRF_FAILURE_VIEW."""
    if request.path.startswith("/api/"):
        return error("Send the CSRF token of your session as X-CSRFToken.", 403)
    sentence = "This form is too old, or came from elsewhere. Go back, load the page again, retry."
    return _say(request, 403, sentence)


def _say(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    return render(request, "error.html", {"status": status, "sentence": sentence}, status=status)

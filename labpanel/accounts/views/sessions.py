"""Where an account is signed in, and the ends of it."""

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from labpanel.accounts.selectors import events_of, sessions_of
from labpanel.accounts.services import end_sessions
from labpanel.door.asked_from import asked_from
from labpanel.lib.refusal import Refusal


@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    context = {
        "sessions": sessions_of(user, request.session.session_key),
        "events": events_of(user),
        "changed": "changed" in request.GET,
    }
    return render(request, "accounts/sessions.html", context)


@require_POST
def end_one(request: HttpRequest, number: int) -> HttpResponse:
    """Of another browser, or of this one."""
    try:
        end_sessions.end_one(_user(request), number, asked_from(request))
    except Refusal as refusal:
        context = {"sentence": refusal.sentence, "back": reverse("sessions")}
        return render(request, "refused.html", context, status=refusal.http_status)
    return redirect("sessions")


@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    end_sessions.end_all(_user(request), asked_from(request), but=request.session.session_key)
    return redirect("sessions")


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user

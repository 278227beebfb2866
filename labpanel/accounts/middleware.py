"""Everything is behind sign-in; who asks decides how the no is said."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin

from labpanel.accounts.services import mark_session
from labpanel.lib.live_look import LEAD, is_look

SEEN_EVERY = timedelta(minutes=1)
log = logging.getLogger(__name__)


class SignInRequired(LoginRequiredMiddleware):
    """A person is led to the sign-in, a program gets 401, a live part loads the sign-in page."""

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., Any],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        response = super().process_view(request, view_func, view_args, view_kwargs)
        if response is None:
            return None
        if request.path.startswith("/api/") or request.path.endswith(".json"):
            return JsonResponse({"error": "Sign in first."}, status=401)
        if is_look(request.headers):
            return HttpResponse(status=401, headers={LEAD: resolve_url(settings.LOGIN_URL)})
        return response


class SessionSeen(MiddlewareMixin):
    """Writes down when, where from and with what a session was last used, once in a minute.

    After the answer was sent: a database that is locked must not hold a page up.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        seen_at = getattr(request.session, "seen_at", None)
        key = request.session.session_key
        # Either way: a clock that went back must not keep it from being written for an hour.
        if key and seen_at and abs(timezone.now() - seen_at) >= SEEN_EVERY:
            # Django has no public way to do something behind an answer.
            closers: list[Callable[[], None]] = response._resource_closers  # type: ignore[attr-defined]
            closers.append(lambda: _write_down(request, key))
        return response


def _write_down(request: HttpRequest, key: str) -> None:
    try:
        mark_session.seen(request, key)
    except DatabaseError as error:
        log.warning("a session's use was not written down: %s", error)

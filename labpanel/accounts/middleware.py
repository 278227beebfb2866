"""Everything is behind sign-in; who asks decides how the no is said."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import resolve_url


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
        if request.headers.get("HX-Request") == "true":
            return HttpResponse(
                status=401, headers={"HX-Redirect": resolve_url(settings.LOGIN_URL)}
            )
        return response

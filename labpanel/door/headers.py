"""Headers of every answer: private pages are kept nowhere, and behind TLS stay behind TLS."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

YEAR_SECONDS = 31_536_000  # OWASP ASVS 5.0, 3.4.1


class Headers(MiddlewareMixin):
    """The first of settings.MIDDLEWARE: errors and redirects pass through it as well."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        super().__init__(get_response)
        self.static = settings.STATIC_URL
        url = urlsplit(settings.PUBLIC_URL)
        self.secure_name = url.hostname if url.scheme == "https" and settings.HSTS else None

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        kept_nowhere = "no-store" in response.get("Cache-Control", "")
        if not kept_nowhere and not request.path.startswith(self.static):
            response["Cache-Control"] = "no-store"
        # By its own name only: http://127.0.0.1 on the same machine is not behind TLS.
        if self.secure_name and _name(request) == self.secure_name:
            response["Strict-Transport-Security"] = f"max-age={YEAR_SECONDS}"
        return response


def _name(request: HttpRequest) -> str | None:
    return urlsplit(f"//{request.META.get('HTTP_HOST', '')}").hostname

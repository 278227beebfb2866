"""What every request passes on its way in, and every page on its way out."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.utils.deprecation import MiddlewareMixin

from labpanel.jobs.again import above
from labpanel.lib.live_look import is_look
from labpanel.lib.printable import printable_layout


class PrintablePages(MiddlewareMixin):
    """Control characters and overrides of direction in pages are shown as escapes.

    Templates escape markup; but a name with U+202E in it would turn the rest of its sentence
    around, and another would hide what it holds.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        is_page = response.get("Content-Type", "").startswith("text/html")
        if is_page and isinstance(response, HttpResponse):
            text = response.content.decode(response.charset)
            shown = printable_layout(text)
            if shown != text:
                response.content = shown
        return response


class FormsOnly(MiddlewareMixin):
    """An address that only takes forms leads to the page with its form.

    A phone that opens a tab again asks for the address that a button had sent its form to.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        asked = response.status_code == 405 and request.method in {"GET", "HEAD"}
        for_programs = request.path.startswith("/api/") or request.path.endswith(".json")
        if not asked or for_programs:
            return response
        if is_look(request.headers):
            return response  # a live look of the page that a form was answered with: it stays
        return HttpResponseRedirect(above(request.path))


class NoNulls(MiddlewareMixin):
    """No text from a browser holds NUL: PostgreSQL can neither store it nor look for it."""

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., Any],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> None:
        sent = [request.path]
        request.body  # noqa: B018 - kept: after a multipart form was parsed it could not be read
        for fields in (request.GET, request.POST):
            for name, values in fields.lists():
                sent += [name, *map(str, values)]
        if any("\0" in text for text in sent):
            raise BadRequest("NUL in a request")

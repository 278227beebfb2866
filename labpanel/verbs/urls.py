"""The addresses of /api/v1: those that the verbs declare, and the document that describes them."""

from functools import cache

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path

from labpanel.verbs import catalog, verb
from labpanel.verbs.http import not_found, not_taken, view_of
from labpanel.verbs.openapi import document
from labpanel.verbs.schema import Schema


def addresses() -> list[URLPattern]:
    """Fixed words come before those that stand for a name."""
    at: dict[str, list[verb.AnyVerb]] = {}
    for each in catalog.verbs():
        if each.route is not None:
            for route in filter(None, (each.route.path, each.route.formerly)):
                at.setdefault(route, []).append(each)
    return [path(route, view_of(at[route])) for route in sorted(at, key=_order)]


def openapi(request: HttpRequest) -> HttpResponse:
    return JsonResponse(_document()) if request.method == "GET" else not_taken(request, ("GET",))


@cache
def _document() -> Schema:
    return document(catalog.verbs())


def _order(route: str) -> list[tuple[bool, str]]:
    return [(part.startswith("<"), part) for part in route.split("/")]


urlpatterns = [
    *addresses(),
    path("openapi.json", openapi),
    path("<path:path>", not_found),
]

"""Which page a button or a form stands on, and how to show that page again after a refusal."""

import copy
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import Resolver404, resolve, reverse

from labpanel.lib.form_again import RefusedForm, shown_again
from labpanel.lib.said import Said

# Where the page above an address is not the one with its button.
_ELSEWHERE = {"restore-again": "job", "host-add": "host-look", "sign-out": "settings"}


def above(path: str) -> str:
    """The page with the button that sends to `path`: the nearest one above, as a rule."""
    try:
        match = resolve(path)
    except Resolver404:
        match = None
    if match is not None and match.url_name in _ELSEWHERE:
        return reverse(_ELSEWHERE[match.url_name], args=match.args, kwargs=match.kwargs)
    while path.strip("/"):
        path = path.rstrip("/").rpartition("/")[0] + "/"
        try:
            resolve(path)
        except Resolver404:
            continue
        return path
    return "/"


def form_again(request: HttpRequest, refused: RefusedForm, pages: Sequence[str]) -> str | None:
    """The first of `pages` (addresses, best first) that holds the form, with it filled in."""
    asked: set[str] = set()
    for address in filter(None, pages):
        path = urlsplit(address).path
        if path in asked:
            continue  # some pages ask hosts: once is enough
        asked.add(path)
        page = _page(request, address)
        if page is not None:
            again = shown_again(page, path, refused)
            if again is not None:
                return again
    return None


def _page(request: HttpRequest, address: str) -> str | None:
    """What the address shows to this user; None if it is not a page."""
    parts = urlsplit(address)
    try:
        match = resolve(parts.path)
    except Resolver404:
        return None
    asked = copy.copy(request)
    asked.method, asked.path, asked.path_info = "GET", parts.path, parts.path
    asked.resolver_match = match
    asked.GET, asked.POST = QueryDict(parts.query), QueryDict()
    try:
        response = match.func(asked, *match.args, **match.kwargs)
    except (Http404, Said):
        return None  # it went away, or what it asks does not answer
    is_page = response.get("Content-Type", "").startswith("text/html")
    if response.status_code != 200 or not is_page or not isinstance(response, HttpResponse):
        return None
    return response.content.decode(response.charset)

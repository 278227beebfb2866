"""What every view of /api/v1 shares: JSON in, JSON out, and one sentence for every no.

Who is not signed in gets 401 from labpanel.accounts.middleware; a forged request gets 403.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from labpanel.adapters.errors import AdapterError, TimedOut, Unreachable
from labpanel.jobs.ledger import Busy
from labpanel.jobs.work import Failed
from labpanel.lib.refusal import Refusal

View = Callable[..., Any]
_CALLED = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
_LARGEST_BODY = 1 << 20


@dataclass(frozen=True, slots=True)
class Optional:
    """A field that may be left out: `parse_body(request, {"start": Optional(bool, False)})`."""

    type: type
    default: Any = None


def json_view(*methods: str) -> Callable[[View], Callable[..., HttpResponse]]:
    """A view that returns what is to be sent as JSON, or `(value, status)`.

    A Refusal, a Failed, a Busy or an AdapterError becomes {"error": sentence} with its status.
    """

    def decorate(view: View) -> Callable[..., HttpResponse]:
        @functools.wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                allowed = " or ".join(methods)
                response = error(f"{request.path} takes {allowed}, not {request.method}.", 405)
                response["Allow"] = ", ".join(methods)
                return response
            try:
                value = view(request, *args, **kwargs)
            except Refusal as refusal:
                return error(refusal.sentence, refusal.status)
            except Busy as busy:
                return error(busy.sentence, 409)
            except Failed as failed:
                return error(failed.sentence, 409)
            except AdapterError as trouble:
                late = isinstance(trouble, TimedOut)
                gone = isinstance(trouble, Unreachable)
                return error(trouble.sentence, 504 if late else 502 if gone else 409)
            body, status = value if isinstance(value, tuple) else (value, 200)
            return JsonResponse(body, safe=False, status=status)

        return answer

    return decorate


def error(sentence: str, status: int) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)


def not_found(request: HttpRequest, path: str = "") -> HttpResponse:
    """Whatever no app lists below /api/v1/."""
    return error(f"There is nothing at {request.path}.", 404)


def by_method(**views: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """One address, another view for each method: `by_method(GET=hosts, POST=add)`."""

    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        view = views.get(request.method or "")
        if view is None:
            allowed = " or ".join(views)
            response = error(f"{request.path} takes {allowed}, not {request.method}.", 405)
            response["Allow"] = ", ".join(views)
            return response
        return view(request, *args, **kwargs)

    return answer


def parse_body(request: HttpRequest, fields: Mapping[str, type | Optional]) -> dict[str, Any]:
    """The request's JSON object, checked: unknown fields, missing ones and wrong types are
    refused by name (Refusal, 400)."""
    given = _json_object(request)
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise Refusal(f"Unknown field {unknown[0]!r}; known are {', '.join(sorted(fields))}.")
    checked = {}
    for name, wanted in fields.items():
        if name not in given:
            if not isinstance(wanted, Optional):
                raise Refusal(f"The field {name!r} is missing.")
            checked[name] = wanted.default
            continue
        checked[name] = _typed(name, given[name], wanted)
    return checked


def _typed(name: str, value: Any, wanted: type | Optional) -> Any:
    kind = wanted.type if isinstance(wanted, Optional) else wanted
    # bool is a subclass of int in Python, not in JSON
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise Refusal(f"The field {name!r} must be {_CALLED.get(kind, kind.__name__)}.")
    return value


def _json_object(request: HttpRequest) -> dict[str, Any]:
    if int(request.headers.get("Content-Length") or 0) > _LARGEST_BODY:
        raise Refusal("The request is larger than 1 MiB.", 413)
    if not request.body:
        return {}
    if request.content_type != "application/json":
        raise Refusal("Send JSON (Content-Type: application/json).", 415)
    try:
        given = json.loads(request.body)
    except (ValueError, RecursionError) as broken:
        raise Refusal("The request is not JSON.") from broken
    if not isinstance(given, dict):
        raise Refusal("Send a JSON object.")
    return given

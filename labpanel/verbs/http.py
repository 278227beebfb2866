"""Verbs as the API's views: input checked by the declaration, one sentence for every no.

Who is not signed in gets 401 from labpanel.accounts.middleware; a forged request gets 403.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from labpanel.lib.actor import Actor
from labpanel.lib.refusal import Refusal
from labpanel.lib.said import Said
from labpanel.verbs.fields import Field, fields
from labpanel.verbs.verb import AnyVerb, ApiRoute

_CALLED: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
_LARGEST_BODY = 1 << 20
_MOST_DIGITS = 20
METHODS = ("GET", "POST", "PATCH", "DELETE")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # JSON's escape of it; raw it is not JSON
_PLACE = re.compile(r"<(?:\w+:)?(\w+)>")


def error(sentence: str, status: int) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)


def not_found(request: HttpRequest, path: str = "") -> HttpResponse:
    """Whatever no verb has below /api/v1/."""
    return error(f"There is nothing at {request.path}.", 404)


def view_of(verbs: Iterable[AnyVerb]) -> Callable[..., HttpResponse]:
    """The view of one address: a verb for each method."""
    at = {verb.route.method: verb for verb in verbs if verb.route}
    by_method = {method: at[method] for method in METHODS if method in at}

    def answer(request: HttpRequest, **places: object) -> HttpResponse:
        verb = by_method.get(request.method or "")
        if verb is None:
            return not_taken(request, by_method)
        try:
            given = read_input(verb, request, places)
            actor = Actor.user(request.user.get_username())
            value = jsonable(verb.as_json(verb.perform(actor, given)))
        except Said as no:
            return error(no.sentence, no.http_status)
        assert verb.route is not None
        return JsonResponse(value, safe=False, status=verb.route.status)

    return answer


def jsonable(value: Any) -> Any:
    """Dataclasses of an answer as objects."""
    if isinstance(value, list | tuple):
        return [jsonable(one) for one in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value


def places_in(route: ApiRoute) -> list[str]:
    """The names of the fields that stand in the path."""
    return _PLACE.findall(route.path)


def sent_fields(verb: AnyVerb) -> list[Field]:
    """What a client sends beside the path: the fields of the body, or the query's of a GET."""
    placed = places_in(verb.route) if verb.route else []
    return [one for one in fields(verb.takes) if one.hints.api and one.name not in placed]


def read_input(verb: AnyVerb, request: HttpRequest, places: Mapping[str, object]) -> Any:
    """The verb's input. Raises Refusal (400, 413, 415) that names what is wrong."""
    known = {one.name: one for one in fields(verb.takes)}
    values = {
        name: value if isinstance(value, known[name].kind) else str(value)
        for name, value in places.items()
    }
    sent = sent_fields(verb)
    read = _query(request, sent) if request.method == "GET" else _body(request, sent)
    return verb.takes(**values, **read)


def not_taken(request: HttpRequest, methods: Iterable[str]) -> HttpResponse:
    """The no to a method that an address does not have."""
    allowed = " or ".join(methods)
    response = error(f"{request.path} takes {allowed}, not {request.method}.", 405)
    response["Allow"] = ", ".join(methods)
    return response


def _body(request: HttpRequest, sent: list[Field]) -> dict[str, object]:
    """The request's JSON object, checked: unknown fields, missing ones and wrong types are
    refused by name."""
    given, known = _json_object(request), sorted(one.name for one in sent)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise Refusal(f"Unknown field {unknown[0]!r}; known are {', '.join(known)}.")
    if missing := [one.name for one in sent if one.required and one.name not in given]:
        raise Refusal(f"The field {missing[0]!r} is missing.")
    return {one.name: _typed(one, given[one.name]) for one in sent if one.name in given}


def _typed(field: Field, value: Any) -> object:
    # bool is a subclass of int in Python, not in JSON
    if not isinstance(value, field.kind) or (field.kind is not bool and isinstance(value, bool)):
        raise Refusal(f"The field {field.name!r} must be {_CALLED[field.kind]}.")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not all(isinstance(one, str) for one in inner):
        raise Refusal(f"The field {field.name!r} must be {_CALLED[field.kind]} of texts.")
    return value


def _query(request: HttpRequest, sent: list[Field]) -> dict[str, object]:
    known = sorted(one.name for one in sent)
    unknown = sorted(set(request.GET) - set(known))
    if unknown:
        said = f"known {'is' if len(known) == 1 else 'are'} {', '.join(known)}" if known else ""
        raise Refusal(f"Unknown parameter {unknown[0]!r}; {said or 'none is known'}.")
    given = [one for one in sent if one.name in request.GET]
    return {one.name: _worded(one, request.GET[one.name]) for one in given}


def _worded(field: Field, text: str) -> object:
    if field.kind is bool:
        if text not in {"0", "1"}:
            raise Refusal(f"The parameter {field.name!r} must be 0 or 1.")
        return text == "1"
    if field.kind is int:
        low, high = field.hints.low or 0, field.hints.high or 1 << 53
        is_number = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
        if not is_number or not low <= int(text) <= high:
            raise Refusal(f"The parameter {field.name!r} must be a number from {low} to {high}.")
        return int(text)
    return text


def _json_object(request: HttpRequest) -> dict[str, Any]:
    if int(request.headers.get("Content-Length") or 0) > _LARGEST_BODY:
        raise Refusal("The request is larger than 1 MiB.", 413)
    if not request.body:
        return {}
    if request.content_type != "application/json":
        raise Refusal("Send JSON (Content-Type: application/json).", 415)
    try:
        given = json.loads(request.body)
        json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError as half:
        raise Refusal("The request holds half a surrogate pair, which is no character.") from half
    except (ValueError, RecursionError) as broken:
        raise Refusal("The request is not JSON.") from broken
    if _NUL.search(request.body):
        raise Refusal("The request holds a NUL character, which no text here may have.")
    if not isinstance(given, dict):
        raise Refusal("Send a JSON object.")
    return given

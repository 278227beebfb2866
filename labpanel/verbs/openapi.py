"""The OpenAPI 3.1 document of the API, from the declarations of the verbs."""

import re
from collections.abc import Iterable

from django.conf import settings

from labpanel.verbs.fields import Field, fields
from labpanel.verbs.http import places_in, sent_fields
from labpanel.verbs.schema import Schema, Schemas, of_body, of_field
from labpanel.verbs.verb import AnyVerb, ApiRoute

_PLACE = re.compile(r"<(?:(\w+):)?(\w+)>")
_ERROR = "#/components/responses/Error"
_FORMATS: dict[str, Schema] = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
}


def document(verbs: Iterable[AnyVerb]) -> Schema:
    """The document; verbs without a route are not in it."""
    schemas = Schemas()
    paths: dict[str, Schema] = {}
    for verb in verbs:
        if verb.route is not None:
            path = _PLACE.sub(r"{\2}", f"/{verb.route.path}")
            paths.setdefault(path, {})[verb.route.method.lower()] = _operation(
                verb, verb.route, schemas
            )
    return {
        "openapi": "3.1.0",
        "info": {"title": "labpanel", "version": "1"},
        "servers": [{"url": "/api/v1"}],
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "responses": {"Error": _error()},
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
            },
        },
        "security": [{"session": []}],
    }


def _operation(verb: AnyVerb, route: ApiRoute, schemas: Schemas) -> Schema:
    sent = sent_fields(verb)
    query = sent if route.method == "GET" else []
    operation: Schema = {
        "operationId": verb.name.replace(" ", "_").replace("-", "_"),
        "summary": verb.summary,
        "parameters": [*_path(verb, route), *(_in_query(one) for one in query)],
        "responses": {
            str(route.status): {
                "description": "Done." if route.status < 202 else "A job does it.",
                "content": {"application/json": {"schema": schemas.of(verb.answers)}},
            },
            "default": {"$ref": _ERROR},
        },
    }
    if sent and route.method != "GET":
        schema = of_body(sent)
        operation["requestBody"] = {
            "required": bool(schema["required"]),
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _path(verb: AnyVerb, route: ApiRoute) -> list[Schema]:
    known = {one.name: one for one in fields(verb.takes)}
    kinds = {name: kind for kind, name in _PLACE.findall(route.path)}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {**of_field(known[name]), **_FORMATS.get(kinds[name], {})},
        }
        for name in places_in(route)
    ]


def _in_query(field: Field) -> Schema:
    schema = of_field(field)
    if field.kind is bool:  # as a word of an address: 0 or 1
        schema = {**schema, "type": "integer", "enum": [0, 1], "default": 0}
    return {"name": field.name, "in": "query", "required": field.required, "schema": schema}


def _error() -> Schema:
    sentence = {"type": "object", "properties": {"error": {"type": "string"}}}
    return {
        "description": "One sentence: what is wrong with which thing, what to do.",
        "content": {"application/json": {"schema": {**sentence, "required": ["error"]}}},
    }

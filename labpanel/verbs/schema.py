"""JSON Schema (2020-12) of the types that verbs take and answer with."""

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NotRequired, TypeAlias

from labpanel.verbs.fields import Field

Schema: TypeAlias = dict[str, Any]  # a JSON document: its shape is the standard's
_PLAIN: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
    object: {},
    Any: {},  # the result of a job: another object for each kind
}


class Schemas:
    """Schemas with their named parts, which `named` holds by the name of their class."""

    def __init__(self) -> None:
        self.named: dict[str, Schema] = {}
        self._classes: dict[str, type] = {}

    def of(self, hint: Any) -> Schema:
        """The schema of a type. Raises TypeError for one that has none."""
        if hint in _PLAIN:
            return dict(_PLAIN[hint])
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if origin in {list, tuple}:
            return {"type": "array", "items": self.of(inner[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        if origin is Literal:
            return {"enum": list(inner)}
        if origin in {types.UnionType, typing.Union}:
            return {"anyOf": [self.of(one) for one in inner]}
        if dataclasses.is_dataclass(hint) or typing.is_typeddict(hint):
            return self._reference(hint)
        raise TypeError(f"{hint!r} has no schema")

    def _reference(self, hint: Any) -> Schema:
        name = hint.__name__
        if self._classes.setdefault(name, hint) is not hint:
            raise TypeError(f"two classes of answers are called {name}")
        if name not in self.named:
            self.named[name] = {}  # a class may hold itself
            self.named[name] = self._object(hint)
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, hint: Any) -> Schema:
        hints = typing.get_type_hints(hint, include_extras=True)
        optional = {name for name, one in hints.items() if typing.get_origin(one) is NotRequired}
        properties = {
            name: self.of(typing.get_args(one)[0] if name in optional else one)
            for name, one in hints.items()
        }
        required = [name for name in properties if name not in optional]
        return {"type": "object", "properties": properties, "required": required}


def of_field(field: Field) -> Schema:
    """The schema of an input's field."""
    schema: Schema = dict(_PLAIN.get(field.kind, {}))
    if field.kind is list:
        schema = {"type": "array", "items": {"type": "string"}}
    if field.kind is dict:
        schema = {"type": "object", "additionalProperties": {"type": "string"}}
    for name, value in (
        ("description", field.hints.help),
        ("enum", list(field.hints.choices or ())),
        ("minimum", field.hints.low),
        ("maximum", field.hints.high),
    ):
        if value not in ("", None, []):
            schema[name] = value
    if not field.required and field.default not in (None, "", [], {}):
        schema["default"] = field.default
    return schema


def of_body(fields: Iterable[Field]) -> Schema:
    """The schema of a body that has these fields and no others."""
    found = list(fields)
    return {
        "type": "object",
        "properties": {one.name: of_field(one) for one in found},
        "required": [one.name for one in found if one.required],
        "additionalProperties": False,
    }

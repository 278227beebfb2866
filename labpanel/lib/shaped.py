"""JSON that a script on a host answered, as the value that its front promises. Standard library
only.

`shaped(list[str], answer)`, `shaped(Room, answer)` and the like: a dataclass takes exactly its own
fields, those with a default may be missing. Whole numbers are those of 64 bits, other numbers
finite; texts hold no half of a surrogate pair. A datetime is a time in ISO 8601 with its
zone. What does not fit raises Odd.
"""

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, Union

from labpanel.lib.closed import Odd

Value = TypeVar("Value")
_LEAST, _MOST = -(2**63), 2**64
_MOST_ITEMS = 250_000


def shaped(shape: type[Value] | Any, answer: object, what: str = "answer") -> Any:
    """The answer in that shape: a dataclass, list, tuple, dict, union, enum (by its value), int,
    float, str, bool, None or Any. Raises Odd."""
    if shape is Any or shape is object:
        return answer
    if dataclasses.is_dataclass(shape):
        return _dataclass(shape, answer, what)
    origin = typing.get_origin(shape)
    if origin in (Union, types.UnionType):
        return _any_of(typing.get_args(shape), answer, what)
    if origin is not None:
        return _collection(origin, typing.get_args(shape), answer, what)
    return _plain(shape, answer, what)


def _dataclass(shape: Any, answer: object, what: str) -> Any:
    if not isinstance(answer, dict):
        raise Odd(f"its {what} is not a set of names and values")
    hints = typing.get_type_hints(shape)
    known = {field.name: field for field in dataclasses.fields(shape) if field.init}
    if strange := sorted(set(answer) - set(known))[:1]:
        raise Odd(f"its {what} says {strange[0][:40]!r}, which nothing knows")
    found = {}
    for name, field in known.items():
        if name in answer:
            found[name] = shaped(hints[name], answer[name], name.replace("_", " "))
        elif _is_needed(field):
            raise Odd(f"its {name.replace('_', ' ')} is missing")
    return shape(**found)


def _is_needed(field: Any) -> bool:
    nothing = dataclasses.MISSING
    return field.default is nothing and field.default_factory is nothing


def _any_of(shapes: Sequence[Any], answer: object, what: str) -> Any:
    for shape in shapes:
        try:
            return shaped(shape, answer, what)
        except Odd:
            continue
    raise Odd(f"its {what} is of another kind than it can be")


def _collection(origin: Any, arguments: Sequence[Any], answer: object, what: str) -> Any:
    if issubclass(origin, Mapping):
        if not isinstance(answer, dict) or len(answer) > _MOST_ITEMS:
            raise Odd(f"its {what} is not a set of names and values")
        key, value = arguments
        return {_plain(key, name, what): shaped(value, each, what) for name, each in answer.items()}
    if not isinstance(answer, list) or len(answer) > _MOST_ITEMS:
        raise Odd(f"its {what} is not a list")
    if origin is tuple and Ellipsis not in arguments:
        if len(answer) != len(arguments):
            raise Odd(f"its {what} has not {len(arguments)} parts")
        pairs = zip(arguments, answer, strict=True)
        return tuple(shaped(shape, each, what) for shape, each in pairs)
    found = [shaped(arguments[0], each, what) for each in answer]
    return tuple(found) if origin is tuple else found


def _plain(shape: Any, answer: object, what: str) -> Any:
    if shape in (None, type(None)):
        if answer is None:
            return None
    elif shape is bool:
        if isinstance(answer, bool):
            return answer
    elif shape is int:
        if isinstance(answer, int) and not isinstance(answer, bool) and _LEAST <= answer < _MOST:
            return answer
    elif shape is float:
        if isinstance(answer, int | float) and not isinstance(answer, bool) and _is_finite(answer):
            return float(answer)
    elif shape is str:
        if isinstance(answer, str) and not _has_surrogates(answer):
            return answer
    elif shape is datetime:
        if (moment := _moment(answer)) is not None:
            return moment
    elif isinstance(shape, type) and issubclass(shape, enum.Enum):
        if answer in [one.value for one in shape]:
            return shape(answer)
    else:
        raise TypeError(f"no shape: {shape!r}")
    raise Odd(f"its {what} is not a valid {'value' if shape is None else shape.__name__}")


def _moment(answer: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(answer) if isinstance(answer, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _is_finite(answer: float) -> bool:
    return abs(answer) < _MOST and math.isfinite(answer)


def _has_surrogates(answer: str) -> bool:
    if answer.isascii():
        return False
    return any("\ud800" <= character <= "\udfff" for character in answer)

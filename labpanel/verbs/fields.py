"""The fields of a verb's input: frozen dataclasses whose fields say what they are for.

A field without a default must be given. A field may be `str`, `int`, `bool`, `list[str]`,
`dict[str, str]`, or one of these or None.
"""

import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_HINTS = "labpanel.verbs"
_MISSING = dataclasses.MISSING


@dataclass(frozen=True, slots=True)
class Hints:
    """What the type does not say. `help` is for people; `flag` replaces `--name-of-the-field` and
    is empty for a positional word; `read` makes the value of a terminal's word and raises
    argparse.ArgumentTypeError; `api` or `terminal` False: this front always takes the default.
    `low` and `high` bound a number in the API. `typed_default`
    is the terminal's default where it is another one."""

    help: str = ""
    flag: str | None = None
    metavar: str | None = None
    choices: tuple[int | str, ...] | None = None
    read: Callable[[str], Any] | None = None
    api: bool = True
    terminal: bool = True
    low: int | None = None
    high: int | None = None
    typed_default: object = None


@dataclass(frozen=True, slots=True)
class Field:
    """One field as the fronts see it. `kind` is without the None, `item` what a list or an object
    holds."""

    name: str
    kind: type
    item: type | None
    required: bool
    default: object
    hints: Hints

    @property
    def flag(self) -> str:
        """Its option on the command line; empty for a positional word."""
        given = self.hints.flag
        return f"--{self.name.replace('_', '-')}" if given is None else given


def word(help: str = "", default: Any = _MISSING, **hints: Any) -> Any:
    """A positional word of the command line."""
    return _field(default, Hints(help=help, flag="", **hints))


def option(help: str = "", default: Any = _MISSING, **hints: Any) -> Any:
    """An option of the command line, a field of the API."""
    return _field(default, Hints(help=help, **hints))


def fields(takes: type) -> list[Field]:
    """The fields of an input, in their order."""
    found = typing.get_type_hints(takes)
    return [_seen(each, found[each.name]) for each in dataclasses.fields(takes)]


def _field(default: Any, hints: Hints) -> Any:
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata={_HINTS: hints})
    return dataclasses.field(default=default, metadata={_HINTS: hints})


def _seen(field: "dataclasses.Field[Any]", hint: Any) -> Field:
    if isinstance(hint, types.UnionType):
        (hint,) = (one for one in typing.get_args(hint) if one is not types.NoneType)
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    made = field.default_factory
    default = field.default if made is _MISSING else made()
    return Field(
        field.name,
        kind,
        inner[-1] if inner else None,
        default is _MISSING,
        default,
        field.metadata.get(_HINTS, Hints()),
    )

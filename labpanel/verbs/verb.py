"""The declaration of a verb."""

import typing
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from labpanel.lib.actor import Actor, ActorKind
from labpanel.lib.refusal import Refusal

I = TypeVar("I")  # noqa: E741 - the input's type
O = TypeVar("O")  # noqa: E741 - what the service or selector gives


class Role(StrEnum):
    """Who may. There is one role as yet: an account is an owner of all that the panel has."""

    OWNER = "owner"


_MAY = {Role.OWNER: frozenset({ActorKind.USER, ActorKind.TERMINAL})}


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """Where the API has the verb: `"POST", "generations/<str:generation>/verify"`. The names in
    the path are fields of the input; the other fields are the body's, or the query's of a GET.
    `formerly` is a path that it had before, which still leads there."""

    method: str
    path: str
    status: int = 200
    formerly: str = ""


@dataclass(frozen=True, slots=True)
class Nothing:
    """The input of a verb that takes none."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """The answer of a verb that has one sentence to say."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Verb(Generic[I, O]):
    """`name` is unique, and what is typed ("store add"). `do` calls a service or a selector and may
    raise what is Said. `as_json` makes the answer of the API and of `--json`; the schema is that of
    the type which its annotation names. `show` prints the same for people; a verb without it
    is named by a PanelCommand. `signed`: who asks is
    kept, so that a person on the terminal may say who they are (`--by`)."""

    name: str
    summary: str
    takes: type[I]
    do: Callable[[Actor, I], O]
    as_json: Callable[[O], Any]
    route: ApiRoute | None = None
    show: Callable[[O], None] | None = None
    who: Role = Role.OWNER
    signed: bool = False

    @property
    def answers(self) -> object:
        """The type of the answer."""
        return typing.get_type_hints(self.as_json)["return"]

    def perform(self, actor: Actor, given: I) -> O:
        """Do it for `actor`. Raises Refusal (403) if they may not, and what `do` raises."""
        if not may(actor, self.who):
            raise Refusal(f"Only an owner may do this, not {actor.name or actor.kind}.", 403)
        return self.do(actor, given)


AnyVerb: TypeAlias = Verb[Any, Any]


def may(actor: Actor, who: Role) -> bool:
    """The one check of who may do what."""
    return actor.kind in _MAY[who]


def as_sentence(said: str) -> Sentence:
    """`as_json` of a verb whose service answers with a sentence."""
    return Sentence(said)

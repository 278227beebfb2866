"""A call to libvirt, declared once: its name in the child, its deadline, how its answer is read,
and whether it may be asked again.

`asks` declares a question: asking twice does no harm, so it may be repeated where only the kept
connection was broken. `changes` declares a call that changes something: where its answer was lost
it may have been done, so it is never repeated. A caller asks for the state first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from labpanel.adapters.errors import Refused
from labpanel.lib import closed
from labpanel.lib.closed import Odd
from labpanel.lib.shaped import shaped
from labpanel.lib.vm_state import reason_of, state_of

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Call(Generic[Value]):
    """`seconds` is the deadline of one call; `read` turns the answer into a value or raises Odd."""

    name: str
    seconds: float
    read: Callable[[object], Value]
    may_repeat: bool


def asks(name: str, seconds: float, read: Callable[[object], Value]) -> Call[Value]:
    return Call(name, seconds, read, may_repeat=True)


def changes(name: str, seconds: float, read: Callable[[object], Value]) -> Call[Value]:
    return Call(name, seconds, read, may_repeat=False)


class Transport(Protocol):
    """One way to the child of one host."""

    @property
    def host(self) -> str: ...

    def send(
        self, name: str, arguments: dict[str, object], *, seconds: float, may_repeat: bool
    ) -> object:
        """The answer as JSON gives it. Raises an AdapterError."""


class Calls:
    """Base of the classes of typed calls, one class for each use."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _do(self, call: Call[Value], *, extra_seconds: float = 0, **arguments: object) -> Value:
        """`extra_seconds` is what the call itself was told to wait for. Raises an AdapterError;
        Refused too for an answer of another shape than the call's."""
        answer = self._transport.send(
            call.name, arguments, seconds=call.seconds + extra_seconds, may_repeat=call.may_repeat
        )
        try:
            return call.read(answer)
        except Odd as odd:
            raise Refused(
                f"libvirt on {self._transport.host} gave an answer that makes no sense: {odd}."
            ) from odd


def in_shape(shape: type[Value]) -> Callable[[object], Value]:
    """The reader of an answer whose names and types are the value's own."""

    def read(answer: object) -> Value:
        found: Value = shaped(shape, answer)
        return found

    return read


def in_words(shape: type[Value]) -> Callable[[object], Value]:
    """As `in_shape`, with libvirt's numbers of a state, a reason and a run as lib/vm_state.py has
    them; a state that is not known is left out."""

    def read(answer: object) -> Value:
        found: Value = shaped(shape, _worded(closed.entries(answer, "answer")))
        return found

    return read


def _worded(answer: dict[str, object]) -> dict[str, object]:
    said = dict(answer)
    state, reason = said.pop("state", None), said.pop("reason", None)
    if state is not None:
        word = state_of(closed.whole(state, "state", most=closed.MOST_COUNT))
        said["state"] = word
        if reason is not None:
            said["reason"] = reason_of(word, closed.whole(reason, "reason", most=closed.MOST_COUNT))
    if "id" in said:
        run = said.pop("id")
        off = isinstance(run, int) and run < 0  # virDomainGetID of a domain that is off
        said["run"] = None if off else run
    return said


def nothing(_: object) -> None:
    """The reader of a call whose answer says nothing beyond that it was done."""


def if_known(read: Callable[[object], Value]) -> Callable[[object], Value | None]:
    """The reader of an answer that is `{"known": false}` of a domain that libvirt does not have."""

    def known(answer: object) -> Value | None:
        said = dict(closed.entries(answer, "answer"))
        if not closed.flag(said.pop("known", None), "knowledge"):
            return None
        return read(said)

    return known


read_flag: Callable[[object], bool] = in_shape(bool)
read_text: Callable[[object], str] = in_shape(str)
read_texts: Callable[[object], tuple[str, ...]] = in_shape(tuple[str, ...])

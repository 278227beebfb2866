"""A VM's definition as values, and what in it reaches into its host. Standard library only."""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from labpanel.lib.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Node:
    """One element of a domain XML. `tag` is `{namespace}name` where it has a namespace; `text` is
    what stands before its first child, without blanks around it."""

    tag: str
    attributes: tuple[tuple[str, str], ...] = ()
    text: str = ""
    children: tuple["Node", ...] = ()

    def get(self, name: str) -> str:
        return next((value for key, value in self.attributes if key == name), "")

    def find(self, tag: str) -> "Node | None":
        return next((child for child in self.children if child.tag == tag), None)


@dataclass(frozen=True, slots=True)
class DefinitionPath:
    """An element by the numbers of the children that lead to it, or one attribute of it."""

    steps: tuple[int, ...]
    attribute: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """One thing in a definition by which the VM reaches into its host. `what` is its exact content
    and says whether two are the same; `words` say it to the owner. A definition cannot be had
    without one whose `place` is the definition itself (no steps)."""

    what: str
    words: str
    place: DefinitionPath

    @property
    def droppable(self) -> bool:
        return bool(self.place.steps)


class OwnersWord(StrEnum):
    """What the owner says of what reaches into the host."""

    REFUSE = ""
    ACCEPT = "accept"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Word:
    """The owner's word. One that accepts holds for exactly the list that `code` stands for."""

    say: OwnersWord = OwnersWord.REFUSE
    code: str = ""


SILENCE = Word()
_CODE = re.compile(r"[0-9a-f]{16}\Z")


def spoken(accept: str, *, drop: bool) -> Word:
    """The word as its owner typed it: the code of what is accepted, or that it is left out. Raises
    Refusal."""
    if accept and drop:
        raise Refusal("Accept what reaches into the host, or leave it out; not both.")
    if accept and not _CODE.match(accept):
        raise Refusal(f"{accept!r} is not the code of a list: it has 16 digits from 0 to f.")
    if accept:
        return Word(OwnersWord.ACCEPT, accept)
    return Word(OwnersWord.DROP) if drop else SILENCE


def code_of(reaches: Iterable[Reach]) -> str:
    """16 hexadecimal digits that stand for exactly these reaches; empty for none."""
    whats = sorted({reach.what for reach in reaches})
    if not whats:
        return ""
    # The length before each keeps two lists apart whose texts joined are the same.
    joined = "".join(f"{len(what)}:{what}" for what in whats)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def unknown(reaches: Iterable[Reach], known: Collection[str]) -> tuple[Reach, ...]:
    """Those whose exact content is not among `known`."""
    return tuple(reach for reach in reaches if reach.what not in known)

"""What a stranger said, held to types, ranges and lengths. Standard library only.

Each function gives the value, or raises Odd with the end of a sentence ("its size is not a whole
number"). `each` puts what is odd aside and goes on with its neighbours.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import TypeVar

Value = TypeVar("Value")
MOST_WHOLE = 2**63 - 1  # what SQLite and PostgreSQL keep in a bigint
MOST_COUNT = 2**31 - 1  # in an integer
MOST_ASIDE = 20  # sentences; a host that is odd throughout needs no more
_MOST_NAME = 64
# libvirt's own are hda, sdb, vdc, xvda, fda, ubda, nvme0n1. File names are made of them.
_TARGET = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
# raw, qcow2, luks …: a word on QEMU's command lines.
_FORMAT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,15}")
# Control characters, and halves of a surrogate pair, which no UTF-8 can hold (UAX 44, 5.7.1).
_UNFIT = ("Cc", "Cs")


class Odd(ValueError):
    """A value that does not fit. Its text says what of it."""


def text(value: object, what: str, *, most: int = 255) -> str:
    """At most `most` characters, none of them a control character."""
    if not isinstance(value, str):
        raise Odd(f"its {what} is not text")
    if len(value) > most:
        raise Odd(f"its {what} has more than {most} characters")
    if not is_plain(value):
        raise Odd(f"its {what} holds control characters")
    return value


def is_plain(value: str) -> bool:
    """Whether no character of it is a control character or half a surrogate pair."""
    if value.isascii():
        return value.isprintable()
    return not any(unicodedata.category(character) in _UNFIT for character in value)


def disk_target(value: object) -> str:
    """A virtual disk's name in the guest (formatdomain, "target"); empty where there is none."""
    word = text(value, "target", most=32)
    if word and not _TARGET.fullmatch(word):
        raise Odd("its target is not a disk's name")
    return word


def disk_format(value: object) -> str:
    """An image's format as QEMU names it; empty where there is none."""
    word = text(value, "format", most=16)
    if word and not _FORMAT.fullmatch(word):
        raise Odd("its format is none that QEMU has")
    return word


def whole(value: object, what: str, *, least: int = 0, most: int = MOST_WHOLE) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Odd(f"its {what} is not a whole number")
    if not least <= value <= most:
        raise Odd(f"its {what} is outside of what there can be")
    return value


def digits(value: object, what: str, *, most: int = MOST_WHOLE) -> int:
    """A whole number in decimal digits, as XML writes it."""
    if not isinstance(value, str) or not (value.isascii() and value.strip().isdigit()):
        raise Odd(f"its {what} is not a whole number")
    if len(value) > 40:
        raise Odd(f"its {what} is outside of what there can be")
    return whole(int(value), what, most=most)


def number(value: object, what: str, *, most: float = 1e18) -> float:
    """Finite, and between -`most` and `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Odd(f"its {what} is not a number")
    if not (-most <= value <= most) or math.isnan(value):
        raise Odd(f"its {what} is outside of what there can be")
    return float(value)


def flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise Odd(f"its {what} is neither true nor false")
    return value


def items(value: object, what: str, *, most: int) -> list[object]:
    if not isinstance(value, list):
        raise Odd(f"its {what} are not a list")
    if len(value) > most:
        raise Odd(f"it lists more than {most} {what}")
    return value


def entries(value: object, what: str, *, most: int = 4096) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Odd(f"its {what} is not a set of names and values")
    if len(value) > most:
        raise Odd(f"its {what} has more than {most} entries")
    return value


def of(value: dict[str, object], key: str) -> object:
    """The entry of that name. Raises Odd where it is missing."""
    if key not in value:
        raise Odd(f"its {key.replace('_', ' ')} is missing")
    return value[key]


def each(
    values: Iterable[object], what: str, read: Callable[[object], Value], aside: "Aside"
) -> tuple[Value, ...]:
    """What `read` makes of each; the odd ones are put aside under `what` and their own name."""
    found = []
    for place, value in enumerate(values, start=1):
        try:
            found.append(read(value))
        except Odd as odd:
            aside.put(f"{what} {_name(value) or place}", odd)
    return tuple(found)


def kept(read: Callable[[], Value], what: str, aside: "Aside") -> Value | None:
    """What `read` gives; None where that is odd, which is put aside under `what`."""
    try:
        return read()
    except Odd as odd:
        aside.put(what, odd)
        return None


class Aside:
    """What was put aside of one answer, in sentences."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._sentences: list[str] = []

    def put(self, what: str, odd: Odd) -> None:
        """`what` without an article: "drive sdb"."""
        self.add(f"The {what} of {self._owner} gave an answer that makes no sense: {odd}.")

    def add(self, sentence: str) -> None:
        if len(self._sentences) < MOST_ASIDE:
            self._sentences.append(sentence)

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(self._sentences)


def _name(value: object) -> str:
    """What an odd value calls itself, if that can be shown."""
    if not isinstance(value, dict):
        return ""
    for key in ("name", "mount_point", "folder", "uuid", "target"):
        word = value.get(key)
        if isinstance(word, str) and 0 < len(word) <= _MOST_NAME and is_plain(word):
            return word
    return ""

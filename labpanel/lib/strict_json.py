"""JSON that others wrote, read into closed values: every key is asked for with its type and range.

`loads` takes bytes and is capped; `Fields` takes one object of it apart. Whatever does not fit is a
Malformed with the place and what is wrong there. Standard library only: it is also sent to hosts.
"""

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

MOST_TEXT = 4096  # PATH_MAX of Linux
MOST_INTEGER = 2**63 - 1
_DIGITS = 20  # of 2**64; Python reads thousands of them in quadratic time
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REQUIRED: Final = object()


class Malformed(ValueError):
    """What does not fit, as a sentence without its full stop: "disks[0].target is not text"."""


def loads(raw: bytes, most: int) -> object:
    """The value in at most `most` bytes of UTF-8. Raises Malformed, also for keys that come twice,
    numbers that are none (NaN, 1e999), and nesting deeper than Python's own limit."""
    if len(raw) > most:
        raise Malformed(f"it has more than {most} bytes")
    try:
        return json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_once,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except Malformed:
        raise
    except RecursionError:
        raise Malformed("it is nested too deeply") from None
    except ValueError:
        raise Malformed("it is not JSON") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a key comes twice in one object")
    return found


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise Malformed("a number has too many digits")
    return int(text)


def _number(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise Malformed("a number is out of range")
    return found


def _constant(text: str) -> float:
    raise Malformed(f"{text} is not a number")


class Fields:
    """One JSON object. `where` leads to it ("disks[0]."; empty for the outermost). Each method
    takes one key, with `default` for a key that may be missing, and raises Malformed."""

    def __init__(self, value: object, where: str = "") -> None:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise Malformed(f"{where.rstrip('.') or 'it'} is not an object")
        self._value: dict[str, Any] = value
        self._where = where
        self._asked: set[str] = set()

    @property
    def given(self) -> Mapping[str, object]:
        """The whole object, for what is written again as it was read."""
        return self._value

    def end(self) -> None:
        """Refuse the keys that were not asked for."""
        for key in self._value:
            if key not in self._asked:
                raise Malformed(f"{self._where}{_shown(key)} is not known here")

    def text(
        self, key: str, *, most: int = MOST_TEXT, free: bool = False, default: Any = _REQUIRED
    ) -> str:
        """At most `most` characters; control characters (line feeds, say) only if it is `free`,
        which is for sentences, and NUL never."""
        found = self._get(key, default)
        if found is default and key not in self._value:
            return str(found)
        if not isinstance(found, str):
            raise self._bad(key, "is not text")
        if len(found) > most:
            raise self._bad(key, f"has more than {most} characters")
        if "\0" in found or (not free and _CONTROL.search(found)):
            raise self._bad(key, "holds control characters")
        try:
            found.encode("utf-8")
        except UnicodeEncodeError:
            raise self._bad(key, "is not Unicode text") from None
        return found

    def like(self, key: str, pattern: re.Pattern[str], what: str, default: Any = _REQUIRED) -> str:
        """A text that matches as a whole; `what` it is ends the sentence if it does not."""
        found = self.text(key, default=default)
        if key in self._value and not pattern.fullmatch(found):
            raise self._bad(key, f"is not {what}: {_shown(found)}")
        return found

    def maybe_like(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        """The same, where null, an empty text and a missing key all stand for none."""
        if self._value.get(key) in (None, ""):
            self._asked.add(key)
            return ""
        return self.like(key, pattern, what)

    def one_of(self, key: str, words: Collection[str]) -> str:
        found = self.text(key, most=64)
        if found not in words:
            raise self._bad(key, f"is none of {', '.join(words)}: {_shown(found)}")
        return found

    def integer(
        self, key: str, *, least: int = 0, most: int = MOST_INTEGER, default: Any = _REQUIRED
    ) -> int:
        found = self._get(key, default)
        return _in_range(found, least, most, lambda what: self._bad(key, what))

    def seconds(self, key: str) -> float:
        """A length of time of at most some decades."""
        found = self._get(key, _REQUIRED)
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise self._bad(key, "is not a number")
        if not 0 <= found <= 1e9:
            raise self._bad(key, "is out of range")
        return float(found)

    def boolean(self, key: str) -> bool:
        found = self._get(key, _REQUIRED)
        if not isinstance(found, bool):
            raise self._bad(key, "is neither true nor false")
        return found

    def integers(self, key: str, *, least: int, most: int, count: int) -> tuple[int, ...]:
        """A list of at most `count` of them; a missing one is empty."""
        bad = self._bad
        return tuple(
            _in_range(each, least, most, lambda what: bad(key, what))
            for each in self.entries(key, count, default=())
        )

    def ranges(self, key: str, count: int, most: int) -> tuple[tuple[int, int], ...]:
        """[first byte, byte after] each, none beyond `most`; a missing list is empty."""
        found = []
        for each in self.entries(key, count, default=()):
            if not isinstance(each, list) or len(each) != 2:
                raise self._bad(key, "is not a list of ranges")
            first, after = (_in_range(n, 0, most, lambda what: self._bad(key, what)) for n in each)
            if first >= after:
                raise self._bad(key, "holds an empty range")
            found.append((first, after))
        return tuple(found)

    def fields(self, key: str) -> "Fields":
        return Fields(self._get(key, _REQUIRED), f"{self._where}{key}.")

    def objects(self, key: str, count: int) -> Iterator["Fields"]:
        """At most `count` objects of a list."""
        for number, each in enumerate(self.entries(key, count)):
            yield Fields(each, f"{self._where}{key}[{number}].")

    def entries(self, key: str, count: int, default: Any = _REQUIRED) -> Any:
        """A list of at most `count` things of any kind: the caller must look at each."""
        found = self._get(key, default)
        if not isinstance(found, (list, tuple)):
            raise self._bad(key, "is not a list")
        if len(found) > count:
            raise self._bad(key, f"has more than {count} entries")
        return found

    def names(self) -> list[str]:
        """All keys, where they are names that the caller checks one by one."""
        return list(self._value)

    def has(self, key: str) -> bool:
        """Whether the key is there, and not null."""
        return self._value.get(key) is not None

    def _get(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        if key in self._value:
            return self._value[key]
        if default is _REQUIRED:
            raise self._bad(key, "is missing")
        return default

    def _bad(self, key: str, what: str) -> Malformed:
        return Malformed(f"{self._where}{_shown(key)} {what}")


def _in_range(found: object, least: int, most: int, bad: Any) -> int:
    if isinstance(found, bool) or not isinstance(found, int):
        raise bad("is not a whole number")
    if not least <= found <= most:
        raise bad("is out of range")
    return found


def _shown(text: str) -> str:
    """Of an unchecked text: short, and what is not a letter, digit or sign escaped."""
    return text[:60].encode("unicode_escape").decode("ascii")

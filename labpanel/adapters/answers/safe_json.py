"""JSON that a host said, parsed within limits of size, depth and number of values."""

import json
from typing import NoReturn

from labpanel.adapters.errors import Refused

MOST_BYTES = 4 << 20
# A value takes up to some 150 bytes as a Python object, whatever the two of its text are.
MOST_VALUES = 200_000


class UnsafeJson(Refused):
    """A text that is not JSON, or JSON that is not read. `reason` completes "… is not used: …"."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} is not used: {reason}.")
        self.reason = reason


def parse(
    text: str | bytes | bytearray,
    what: str = "The answer",
    *,
    most_bytes: int = MOST_BYTES,
    most_values: int = MOST_VALUES,
) -> object:
    """Dicts, lists, strings, whole and finite numbers, bools and None. Raises UnsafeJson.

    Commas and brackets are counted before anything is made of them.
    """
    if len(text) > most_bytes:
        raise UnsafeJson(what, f"it is larger than {most_bytes >> 20} MiB")
    plain = text if isinstance(text, str) else text.decode("utf-8", "replace")
    if sum(map(plain.count, ",[{")) > most_values:
        raise UnsafeJson(what, f"it holds more than {most_values} values")
    try:
        return json.loads(plain, parse_constant=_refuse)
    except json.JSONDecodeError as broken:
        raise UnsafeJson(what, f"it is not JSON ({broken})") from broken
    except RecursionError as broken:
        raise UnsafeJson(what, "it is nested too deeply") from broken
    except ValueError as broken:  # one of ours, or Python's own limit on digits
        raise UnsafeJson(what, "a number in it is none, or has too many digits") from broken


def _refuse(word: str) -> NoReturn:
    """NaN and Infinity are no JSON (RFC 8259, 6), though Python reads them."""
    raise ValueError(f"{word} is not a number")

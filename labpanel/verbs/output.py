"""Printing for people and programs: aligned tables, JSON, one sentence.

Names come from libvirt and may hold control characters, wide characters, anything: all goes
through labpanel.lib.printable, and widths are counted in cells.
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from labpanel.lib.printable import is_harmless, printable

_LONGEST_LINE = 20_000  # characters


def width(text: str) -> int:
    """Cells on a terminal: two for wide (East Asian) characters, none for combining ones."""
    return sum(map(_cells, text))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str = "") -> None:
    """Columns under their headings, numbers to the right. With no rows, `empty` alone."""
    if not rows:
        say(empty)
        return
    table = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(width(cell) for cell in (heading, *column))
        for heading, column in zip(columns, zip(*table, strict=True), strict=True)
    ]
    right = [
        all(isinstance(v, int | float | None) for v in column) for column in zip(*rows, strict=True)
    ]
    for cells in ([heading.upper() for heading in columns], *table):
        say("  ".join(map(_padded, cells, widths, right)).rstrip())


def print_json(value: Any) -> None:
    """Stable keys, the API's own shapes, UTF-8 as it is.

    What a terminal would obey is written as JSON's own escape: the value that a program reads
    stays what it was.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False)
    _write(sys.stdout, "\n".join("".join(map(_json_escaped, line)) for line in text.split("\n")))


def say(text: str) -> None:
    """One line on standard output; empty text says nothing."""
    if text:
        _write(sys.stdout, printable(text, _LONGEST_LINE))


def say_of(name: str, sentences: Iterable[str]) -> None:
    """Sentences on one thing, below a table that names it."""
    for sentence in sentences:
        say(f"{name}: {sentence}")


def gap() -> None:
    """An empty line."""
    _write(sys.stdout, "")


def complain(text: str) -> None:
    """One line on standard error."""
    _write(sys.stderr, printable(text, _LONGEST_LINE))


def _cell(value: object) -> str:
    return "–" if value is None else printable(str(value))


def _padded(cell: str, cells: int, right: bool) -> str:  # noqa: FBT001 - mapped over columns
    padding = " " * (cells - width(cell))
    return padding + cell if right else cell + padding


def _json_escaped(character: str) -> str:
    return character if is_harmless(character) else json.dumps(character)[1:-1]


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _write(stream: TextIO, line: str) -> None:
    # A terminal that is not UTF-8 gets escapes, not a traceback.
    encoding = stream.encoding or "utf-8"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()

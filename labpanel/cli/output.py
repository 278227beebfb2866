"""Printing for people and programs: aligned tables, JSON, one sentence.

Names come from libvirt and may hold control characters, wide characters, anything: what would
move the cursor or turn the text's direction is shown as an escape, widths are counted in cells.
"""

import json
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, TextIO

_JOINERS = "\u200c\u200d"  # parts of words and emoji, harmless to a terminal


def shown(text: str) -> str:
    """`text` without anything that a terminal would obey."""
    return "".join(map(_harmless, text))


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
    """Stable keys, the API's own shapes, UTF-8 as it is."""
    _write(sys.stdout, json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """One line on standard output; empty text says nothing."""
    if text:
        _write(sys.stdout, shown(text))


def gap() -> None:
    """An empty line."""
    _write(sys.stdout, "")


def complain(text: str) -> None:
    """One line on standard error."""
    _write(sys.stderr, shown(text))


def _cell(value: object) -> str:
    return "–" if value is None else shown(str(value))


def _padded(cell: str, cells: int, right: bool) -> str:  # noqa: FBT001 - mapped over columns
    padding = " " * (cells - width(cell))
    return padding + cell if right else cell + padding


def _harmless(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Cc", "Zl", "Zp", "Cs"} or (category == "Cf" and character not in _JOINERS):
        return character.encode("unicode_escape").decode("ascii")
    return character


def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _write(stream: TextIO, line: str) -> None:
    # A terminal that is not UTF-8 gets escapes, not a traceback.
    encoding = stream.encoding or "utf-8"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
